/** Bounds of the Kafka clients and of the Kafka REST gateway. */

/**
 * Clocks of Kafka's producers and brokers differ by this much at most. Watermarks stay behind by it.
 */
export const kafkaVisibleMsMax = 60_000;

/** What a record from Kafka takes in memory beside its bytes. */
export const heldRecordBytes = 256;

/** Pause between two looks for a topic that does not exist. */
export const kafkaTopicPollMs = 30_000;

/** Level of Zstandard in what is sent to Kafka: 3 is its own default. */
export const kafkaZstdLevel = 3;

/** Bytes that one compressed batch of Kafka may inflate to; producers' own bound is about 1 MB. */
export const kafkaInflatedBytesMax = 128 * 1024 * 1024;

/** Records that one batch may claim to have, when it cannot be read. */
export const kafkaRecordsMax = 100_000;

/**
 * One request to Kafka: time to connect, time for its replicas, and time for its answer. Below what
 * the edge grants its archive leg, so that the gateway's answer is in time.
 */
export const kafkaConnectMs = 2000;
export const kafkaAcksMs = 3000;
export const kafkaRequestMs = 3500;

/** Tries of one call to Kafka, the first pause between them, and the longest. */
export const kafkaTriesMax = 3;
export const kafkaRetryMs = 100;
export const kafkaRetryMsMax = 500;

/** Tries of a call of a group's member before it starts over, and the longest pause between two. */
export const kafkaMemberTriesMax = 12;
export const kafkaMemberRetryMsMax = 3000;

/**
 * Membership of a consumer group: silence after which a member is dead, and how often it speaks, which
 * is when it hears that another one waits to join. When the group is shared out anew, its members
 * have as long as a session to join again.
 */
export const kafkaSessionMs = 15_000;
export const kafkaHeartbeatMs = 1000;

/**
 * JoinGroup and SyncGroup are answered when the last member has joined, or is taken for dead: a member
 * waits a session and this long for an answer, and starts over when the group is silent for longer
 * than a session and `kafkaSilenceMs`. After that it listens for `kafkaGraceMs` more.
 */
export const kafkaPatienceMs = 5000;
export const kafkaSilenceMs = 12_000;
export const kafkaGraceMs = 1000;

/** What it may take to connect, and to learn where the topics are, before a member starts over. */
export const kafkaOpenMsMax = 90_000;

/**
 * A member whose fetches are not answered although records are wanted starts over: after a request's own
 * time-out (a session and `kafkaPatienceMs`) and this long. A restart is asked for when that did not help.
 */
export const kafkaFetchSilenceMs = 30_000;
export const kafkaSilentMsMax = 5 * 60_000;

/** What taking leave of a group may take. */
export const kafkaLeaveMsMax = 3000;

/** The largest answer of a broker; fetches ask for far less, but a single batch may be large. */
export const kafkaFrameBytesMax = 256 * 1024 * 1024;

/** Silence on a connection after which the system asks whether it is still there. */
export const kafkaKeepAliveMs = 60_000;

/** Bytes of one fetch and of one partition in it, and how long a broker waits for them. */
export const kafkaFetchBytes = 10 * 1024 * 1024;
export const kafkaFetchBytesPerPartition = 1024 * 1024;
export const kafkaFetchWaitMs = 500;

/** How long a fetch waits for room in memory before its partitions are paused. */
export const kafkaRestMsMax = 1000;

/** Partitions whose fetched records one consumer hands out at the same time. */
export const kafkaPartitionsAtOnce = 64;

/** How long the Kafka REST gateway waits for more records of a partition, and what ends the wait. */
export const gatewayLingerMs = 5;
export const gatewayBatchBytes = 1_000_000;
export const gatewayBatchRecordsMax = 1000;

/** How long the gateway believes a topic's partitions, and topics that it remembers. */
export const gatewayTopicFreshMs = 30_000;
export const gatewayTopicsMax = 1000;

/** Records of one v3 stream that wait for their report; past it the gateway reads no further. */
export const gatewayStreamRecordsMax = 1000;

/** Connections of the gateway, silence after which one is closed, and what a stop may take. */
export const gatewayConnectionsMax = 4096;
export const gatewayIdleMs = 120_000;
export const gatewayStopMsMax = 12_000;

/** What a refused request may still send before its connection is cut, so that it reads the answer. */
export const gatewayLateMs = 2000;

/** How far the time in a request's id may be from the broker's for it to be the edge's, ms. */
export const edgeClockMsMax = 3_600_000;
