import java.nio.file.Path;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;

/**
 * A node of OpenSearch in this process, or of Elasticsearch with its names (recipe.go puts them in).
 * Arguments: home directory with config, modules and plugins; HTTP port (0 takes a free one); settings as key=value.
 * It prints "ready PORT" and ends when its standard input does, so it cannot outlive the test that started it.
 */
public final class Server extends Node {
    private Server(Environment environment) {
        super(environment);
    }

    public static void main(String[] args) throws Exception {
        Settings.Builder settings = Settings.builder()
            .put("path.home", args[0])
            .put("cluster.name", "test")
            .put("node.name", "test")
            .put("network.host", "127.0.0.1")
            .put("http.port", args[1])
            .put("transport.port", "0")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("action.auto_create_index", true);
        for (int i = 2; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        if (settings.get("cluster.initial_master_nodes") == null && settings.get("discovery.seed_hosts") == null) {
            settings.put("discovery.type", "single-node");
        }
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Map.of(), Path.of(args[0], "config"), () -> "test");
        Node node = new Server(environment).start();
        int port = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress().getPort();
        System.out.println("ready " + port);
        System.out.flush();
        while (System.in.read() >= 0) {
            // Nothing is ever sent; only the end of the stream matters.
        }
        node.close();
        System.exit(0);
    }
}
