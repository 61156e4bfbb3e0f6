import java.io.OutputStream;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;

/**
 * Kafka's own Java clients, for tests: what they write has to be read, and what they show has to be
 * true. Run as a source file, with the broker's jars on the class path.
 */
public final class Peer {
  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "compress" -> compress(args[1]);
      case "produce" -> produce(args);
      case "lag" -> lag(args[1], args[2]);
      case "scram" -> scram(args[1], args[2], args[3]);
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** Standard input, as the records of a batch are compressed. */
  private static void compress(String codec) throws Exception {
    byte[] input = System.in.readAllBytes();
    ByteBufferOutputStream buffer = new ByteBufferOutputStream(1024);
    try (OutputStream out =
        Compression.of(CompressionType.forName(codec)).build().wrapForOutput(buffer, (byte) 2)) {
      out.write(input);
    }
    System.out.write(buffer.buffer().array(), 0, buffer.position());
    System.out.flush();
  }

  /**
   * Each line of standard input is a value in base64: to partition 0 of each topic, in as few batches
   * as go. After the brokers come topics, each with its compression: `a=gzip b=lz4`.
   */
  private static void produce(String[] args) throws Exception {
    ByteArraySerializer plain = new ByteArraySerializer();
    String text = new String(System.in.readAllBytes(), "UTF-8");
    for (int i = 2; i < args.length; i++) {
      String[] target = args[i].split("=");
      Properties config = new Properties();
      config.put("bootstrap.servers", args[1]);
      config.put("compression.type", target[1]);
      config.put("linger.ms", "1000");
      config.put("batch.size", "900000");
      try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, plain, plain)) {
        for (String line : text.split("\n")) {
          byte[] value = Base64.getDecoder().decode(line);
          producer.send(new ProducerRecord<>(target[0], 0, null, value));
        }
      }
    }
  }

  /** What lag tools show: topic, partition, committed offset and end, a line for each partition. */
  private static void lag(String brokers, String group) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
      var committed =
          admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
      var latest = new HashMap<org.apache.kafka.common.TopicPartition, OffsetSpec>();
      committed.keySet().forEach(partition -> latest.put(partition, OffsetSpec.latest()));
      var ends = admin.listOffsets(latest).all().get();
      System.out.println(
          committed.entrySet().stream()
              .map(
                  entry ->
                      entry.getKey().topic()
                          + " "
                          + entry.getKey().partition()
                          + " "
                          + entry.getValue().offset()
                          + " "
                          + ends.get(entry.getKey()).offset())
              .sorted()
              .collect(Collectors.joining("\n")));
    }
  }

  /** Makes a user that may log in by SCRAM. */
  private static void scram(String brokers, String user, String password) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
      for (ScramMechanism mechanism :
          List.of(ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)) {
        ScramCredentialInfo info = new ScramCredentialInfo(mechanism, 4096);
        admin
            .alterUserScramCredentials(
                List.of(new UserScramCredentialUpsertion(user, info, password)))
            .all()
            .get();
      }
    }
  }
}
