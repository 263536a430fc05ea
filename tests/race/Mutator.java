import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.BufferedMutator;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What examples/clicks does, by hand: a consumer, a split, a filter, a BufferedMutator. Broken clicks are dropped. */
public final class Mutator {
  private static final byte[] CLICK = bytes("clickinfo");
  private static final byte[] ITEM = bytes("iteminfo");

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static Put put(String value) {
    String[] fields = value == null ? new String[0] : value.split(",", -1);
    if (fields.length != 6 || fields[0].isEmpty() || !fields[5].matches("[0-9]{1,18}") || Long.parseLong(fields[5]) == 0) {
      return null;
    }
    Put put = new Put(bytes(fields[0]));
    put.addColumn(CLICK, bytes("studentid"), bytes(fields[1]));
    put.addColumn(CLICK, bytes("url"), bytes(fields[2]));
    put.addColumn(CLICK, bytes("time"), bytes(fields[3]));
    put.addColumn(ITEM, bytes("itemtype"), bytes(fields[4]));
    return put.addColumn(ITEM, bytes("quantity"), bytes(fields[5]));
  }

  /** BROKERS TOPIC ZOOKEEPER_PORT TABLE: reads the topic to its end into a new table; prints rows and seconds from the first record on. */
  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("max.poll.records", "5000");
    Configuration configuration = HBaseConfiguration.create();
    configuration.set("hbase.zookeeper.quorum", "127.0.0.1");
    configuration.set("hbase.zookeeper.property.clientPort", args[2]);
    StringDeserializer text = new StringDeserializer();
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties, text, text);
        Connection connection = ConnectionFactory.createConnection(configuration);
        Admin admin = connection.getAdmin();
        BufferedMutator mutator = connection.getBufferedMutator(TableName.valueOf(args[3]))) {
      admin.createTable(TableDescriptorBuilder.newBuilder(TableName.valueOf(args[3]))
          .setColumnFamilies(List.of(ColumnFamilyDescriptorBuilder.of(CLICK), ColumnFamilyDescriptorBuilder.of(ITEM)))
          .build());
      List<TopicPartition> all = consumer.partitionsFor(args[1]).stream().map(Mutator::partition).toList();
      consumer.assign(all);
      consumer.seekToBeginning(all);
      long end = consumer.endOffsets(all).values().stream().mapToLong(Long::longValue).sum();
      long records = 0;
      long rows = 0;
      long first = System.nanoTime();
      while (records < end) {
        for (var record : consumer.poll(Duration.ofMillis(100))) {
          first = records++ == 0 ? System.nanoTime() : first;
          Put put = put(record.value());
          if (put != null) {
            mutator.mutate(put);
            rows++;
          }
        }
      }
      mutator.flush();
      System.out.printf("%d %.3f%n", rows, (System.nanoTime() - first) / 1e9);
    }
  }

  private static TopicPartition partition(PartitionInfo info) {
    return new TopicPartition(info.topic(), info.partition());
  }
}
