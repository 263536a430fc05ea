import java.io.File;
import java.util.Collections;
import java.util.List;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.reindex.ReindexPlugin;
import org.elasticsearch.transport.Netty4Plugin;

/** One Elasticsearch node. Arguments: folder, HTTP port, transport port. Prints READY. */
public class Elasticsearch {
  /** Modules are given as classes: the jars on Maven Central lack the folders that the node looks for. */
  static class Tests extends Node {
    Tests(Settings settings) {
      super(InternalSettingsPreparer.prepareEnvironment(settings, Collections.emptyMap(), null, () -> "n1"),
          List.of(Netty4Plugin.class, ReindexPlugin.class), false);
    }
  }

  public static void main(String[] arguments) throws Exception {
    String folder = arguments[0];
    for (String name : List.of("config", "modules", "plugins")) new File(folder, name).mkdirs();
    Settings settings = Settings.builder()
        .put("path.home", folder)
        .put("node.name", "n1")
        .put("cluster.name", "tests")
        .put("network.host", "127.0.0.1")
        .put("http.port", arguments[1])
        .put("transport.port", arguments[2])
        .put("http.type", "netty4")
        .put("transport.type", "netty4")
        .put("discovery.type", "single-node")
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        .build();
    Node node = new Tests(settings);
    node.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception error) {
        error.printStackTrace();
      }
    }));
    node.client().admin().cluster().prepareHealth().setWaitForYellowStatus().get();
    System.out.println("READY");
    Thread.currentThread().join();
  }
}
