import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.client.ConnectionFactory;

/** Makes a namespace of HBase. */
class Namespace {
  public static void main(String[] name) throws Exception {
    try (var connection = ConnectionFactory.createConnection(); var admin = connection.getAdmin()) {
      admin.createNamespace(NamespaceDescriptor.create(name[0]).build());
    }
  }
}
