import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.apache.hadoop.hdfs.server.namenode.NameNode;
import org.apache.hadoop.metrics2.lib.DefaultMetricsSystem;

/** Name node and data node in one process. Formats where the name folder is empty. Prints READY. */
public class Hdfs {
  public static void main(String[] arguments) throws Exception {
    DefaultMetricsSystem.setMiniClusterMode(true); // or the second node's metrics clash with the first's
    Configuration settings = new HdfsConfiguration();
    if (!new File(System.getProperty("name.dir"), "current/VERSION").exists()) NameNode.format(settings);
    NameNode name = NameNode.createNameNode(new String[0], settings);
    DataNode data = DataNode.createDataNode(new String[0], new HdfsConfiguration(settings));
    while (!data.isDatanodeFullyStarted() || name.isInSafeMode() || name.getNamesystem().getNumLiveDataNodes() < 1) {
      Thread.sleep(20);
    }
    System.out.println("READY");
    name.join();
  }
}
