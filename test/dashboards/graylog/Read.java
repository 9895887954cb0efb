import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.jsontype.NamedType;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.graylog.plugins.pipelineprocessor.EvaluationContext;
import org.graylog.plugins.pipelineprocessor.ast.Rule;
import org.graylog.plugins.pipelineprocessor.ast.functions.Function;
import org.graylog.plugins.pipelineprocessor.functions.conversion.StringConversion;
import org.graylog.plugins.pipelineprocessor.functions.messages.HasField;
import org.graylog.plugins.pipelineprocessor.functions.messages.SetField;
import org.graylog.plugins.pipelineprocessor.functions.strings.Contains;
import org.graylog.plugins.pipelineprocessor.functions.strings.Split;
import org.graylog.plugins.pipelineprocessor.parser.FunctionRegistry;
import org.graylog.plugins.pipelineprocessor.parser.PipelineRuleParser;
import org.graylog.plugins.views.search.elasticsearch.ElasticsearchQueryString;
import org.graylog.plugins.views.search.searchtypes.pivot.PivotSort;
import org.graylog.plugins.views.search.searchtypes.pivot.SeriesSort;
import org.graylog.plugins.views.search.searchtypes.pivot.buckets.AutoInterval;
import org.graylog.plugins.views.search.searchtypes.pivot.buckets.Time;
import org.graylog.plugins.views.search.searchtypes.pivot.buckets.Values;
import org.graylog.plugins.views.search.searchtypes.pivot.series.Count;
import org.graylog.plugins.views.search.searchtypes.pivot.series.Latest;
import org.graylog.plugins.views.search.views.widgets.aggregation.AggregationConfigDTO;
import org.graylog.plugins.views.search.views.widgets.aggregation.AutoIntervalDTO;
import org.graylog.plugins.views.search.views.widgets.aggregation.BarVisualizationConfigDTO;
import org.graylog.plugins.views.search.views.widgets.aggregation.TimeHistogramConfigDTO;
import org.graylog.plugins.views.search.views.widgets.aggregation.ValueConfigDTO;
import org.graylog.plugins.views.search.views.widgets.aggregation.sort.PivotSortConfig;
import org.graylog.plugins.views.search.views.widgets.aggregation.sort.SeriesSortConfig;
import org.graylog.plugins.views.search.views.widgets.messagelist.MessageListConfigDTO;
import org.graylog2.contentpacks.model.ContentPack;
import org.graylog2.contentpacks.model.ContentPackV1;
import org.graylog2.contentpacks.model.entities.Entity;
import org.graylog2.contentpacks.model.entities.EntityDescriptor;
import org.graylog2.contentpacks.model.entities.EntityV1;
import org.graylog2.contentpacks.model.entities.InputEntity;
import org.graylog2.contentpacks.model.entities.MessageListEntity;
import org.graylog2.contentpacks.model.entities.PipelineEntity;
import org.graylog2.contentpacks.model.entities.PipelineRuleEntity;
import org.graylog2.contentpacks.model.entities.PivotEntity;
import org.graylog2.contentpacks.model.entities.StreamEntity;
import org.graylog2.contentpacks.model.entities.ViewEntity;
import org.graylog2.contentpacks.model.entities.ViewStateEntity;
import org.graylog2.contentpacks.model.entities.references.ReferenceMapUtils;
import org.graylog2.inputs.codecs.GelfCodec;
import org.graylog2.inputs.transports.TcpTransport;
import org.graylog2.jackson.AutoValueSubtypeResolver;
import org.graylog2.plugin.Message;
import org.graylog2.plugin.MessageFactory;
import org.graylog2.plugin.configuration.Configuration;
import org.graylog2.plugin.streams.Stream;
import org.graylog2.shared.bindings.providers.ObjectMapperProvider;
import org.joda.time.DateTime;

/**
 * Reads a content pack with Graylog's own classes, as a server does that installs it, but
 * without a database. Then it lets the pack's pipeline work on messages from standard
 * input, one JSON object with text fields a line, and writes them in the same form.
 */
public class Read {
    public static void main(String[] args) throws Exception {
        ObjectMapper json = mapper();
        ContentPackV1 pack = (ContentPackV1) json.readValue(Files.readString(Path.of(args[0])), ContentPack.class);
        Map<EntityDescriptor, Object> created = new HashMap<>();
        Map<String, String> rules = new HashMap<>();
        List<PipelineEntity> pipelines = new ArrayList<>();
        List<ViewEntity> views = new ArrayList<>();
        for (Entity e : pack.entities()) {
            JsonNode data = ((EntityV1) e).data();
            switch (e.type().name()) {
                case "input" -> checkInput(json.convertValue(data, InputEntity.class));
                case "stream" -> {
                    json.convertValue(data, StreamEntity.class);
                    created.put(e.toEntityDescriptor(), stream());
                }
                case "pipeline_rule" -> {
                    PipelineRuleEntity r = json.convertValue(data, PipelineRuleEntity.class);
                    rules.put(r.title().asString(Map.of()), r.source().asString(Map.of()));
                }
                case "pipeline" -> pipelines.add(json.convertValue(data, PipelineEntity.class));
                case "dashboard" -> views.add(json.convertValue(data, ViewEntity.class));
                default -> throw new IllegalArgumentException(e.type().name());
            }
        }
        for (ViewEntity v : views) {
            for (ViewStateEntity s : v.state().values()) {
                s.toNativeEntity(Map.of(), created);
            }
            v.search().toNativeEntity(Map.of(), created);
        }
        run(json, ordered(pipelines, rules, created));
    }

    /** A mapper with the names that the server registers in ViewsBindings and ContentPacksModule. */
    static ObjectMapper mapper() {
        ObjectMapper json = new ObjectMapperProvider().get();
        json.setSubtypeResolver(new AutoValueSubtypeResolver());
        json.registerSubtypes(ElasticsearchQueryString.class, MessageListEntity.class, PivotEntity.class, Values.class, Time.class,
                AutoInterval.class, AutoIntervalDTO.class, TimeHistogramConfigDTO.class, ValueConfigDTO.class, SeriesSortConfig.class,
                PivotSortConfig.class, SeriesSort.class, PivotSort.class, AggregationConfigDTO.class, MessageListConfigDTO.class,
                BarVisualizationConfigDTO.class);
        json.registerSubtypes(new NamedType(Count.class, Count.NAME), new NamedType(Latest.class, Latest.NAME));
        return json;
    }

    static Object stream() {
        return Proxy.newProxyInstance(Read.class.getClassLoader(), new Class<?>[]{Stream.class},
                (proxy, method, a) -> method.getName().equals("getId") ? "000000000000000000000001" : null);
    }

    static void checkInput(InputEntity input) throws Exception {
        Map<String, Object> values = ReferenceMapUtils.toValueMap(input.configuration(), Map.of());
        Set<String> known = new HashSet<>();
        for (var request : List.of(new TcpTransport.Config().getRequestedConfiguration(), new GelfCodec.Config().getRequestedConfiguration())) {
            request.check(new Configuration(values));
            known.addAll(request.getFields().keySet());
        }
        for (String name : values.keySet()) {
            if (!known.contains(name)) {
                throw new IllegalArgumentException("a GELF TCP input has no setting " + name);
            }
        }
    }

    /** The rules in the order of the stages of the pipelines. */
    static List<Rule> ordered(List<PipelineEntity> pipelines, Map<String, String> rules, Map<EntityDescriptor, Object> created) {
        Map<String, Function<?>> functions = new HashMap<>();
        functions.put(HasField.NAME, new HasField());
        functions.put(SetField.NAME, new SetField());
        functions.put(Contains.NAME, new Contains());
        functions.put(Split.NAME, new Split());
        functions.put(StringConversion.NAME, new StringConversion());
        PipelineRuleParser parser = new PipelineRuleParser(new FunctionRegistry(functions));
        List<Rule> order = new ArrayList<>();
        Set<String> unused = new HashSet<>(rules.keySet());
        for (PipelineEntity p : pipelines) {
            for (var stream : p.connectedStreams()) {
                String id = stream.asString(Map.of());
                if (created.keySet().stream().noneMatch(d -> d.id().id().equals(id))) {
                    throw new IllegalArgumentException("the pipeline is connected to an unknown stream " + id);
                }
            }
            for (var stage : parser.parsePipeline("none", p.source().asString(Map.of())).stages()) {
                for (String name : stage.ruleReferences()) {
                    Rule r = parser.parseRule(rules.get(name), true);
                    if (!r.name().equals(name)) {
                        throw new IllegalArgumentException("rule " + name + " calls itself " + r.name());
                    }
                    unused.remove(name);
                    order.add(r);
                }
            }
        }
        if (!unused.isEmpty()) {
            throw new IllegalArgumentException("rules without a pipeline: " + unused);
        }
        return order;
    }

    static void run(ObjectMapper json, List<Rule> rules) throws Exception {
        var constructor = Class.forName("org.graylog2.plugin.DefaultMessageFactory").getDeclaredConstructor();
        constructor.setAccessible(true);
        MessageFactory factory = (MessageFactory) constructor.newInstance();
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> fields = new TreeMap<>();
            json.readTree(line).fields().forEachRemaining(f -> fields.put(f.getKey(), f.getValue().asText()));
            Message m = factory.createMessage("message", "source", DateTime.now());
            fields.forEach(m::addField);
            EvaluationContext context = new EvaluationContext(m);
            for (Rule r : rules) {
                if (r.when().evaluateBool(context)) {
                    r.then().forEach(s -> s.evaluate(context));
                }
            }
            if (context.hasEvaluationErrors()) {
                throw new IllegalStateException(context.evaluationErrors() + " in " + line);
            }
            fields.replaceAll((name, v) -> m.getField(name));
            out.append(json.writeValueAsString(fields)).append('\n');
        }
        System.out.print("messages\n" + out);
    }
}
