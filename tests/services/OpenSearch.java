import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node. Arguments: folder, HTTP port, transport port. Prints READY. */
public class OpenSearch {
  public static void main(String[] arguments) throws Exception {
    String folder = arguments[0], http = arguments[1], transport = arguments[2];
    OpenSearchRunner runner = new OpenSearchRunner();
    runner.setMaxHttpPort(65535);
    runner.onBuild((number, settings) -> {
      settings.put("http.port", http);
      settings.put("transport.port", transport);
      settings.put("network.host", "127.0.0.1");
      settings.put("discovery.type", "single-node");
      settings.putList("discovery.seed_hosts");
      settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
      settings.put("action.auto_create_index", "true");
    });
    // It adds 1 to this port, and looks whether that is free.
    int base = Integer.parseInt(http) - 1;
    runner.build(OpenSearchRunner.newConfigs().basePath(folder).clusterName("tests").numOfNode(1).baseHttpPort(base));
    runner.ensureYellow();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        runner.close();
      } catch (Exception error) {
        error.printStackTrace();
      }
    }));
    System.out.println("READY");
    Thread.currentThread().join();
  }
}
