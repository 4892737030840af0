import { type Rule, rule } from "./sheet.js";

/** How much there is to do in a second: in the mean of the day, and at the peak. */
const LOAD: readonly Rule[] = [
  rule("messages", "users * messagesPerUserDay / secondsADay", "/s", "messages, mean"),
  rule("peakMessages", "messages * peak", "/s", "messages, peak"),
  rule("receivers", "max(1, roomSize * online / users)", "", "members of a message's room who are connected"),
  rule("readsAMessage", "receivers * readShare", "", "reads of a message at once"),
  rule("reads", "messages * readsAMessage", "/s", "reads, mean"),
  rule("peakReads", "reads * peak", "/s", "reads, peak"),
  rule("connects", "users * connectionsPerUserDay / secondsADay", "/s", "handshakes, mean"),
  rule("peakConnects", "connects * peak", "/s", "handshakes, peak"),
  rule(
    "upstreamAConnection",
    "connectionUpstream + subscriptionUpstream * (subscriptions - 1)",
    "",
    "upstream calls of a connection from beginning to end",
  ),
  rule(
    "restAConnection",
    "connectionRest + subscriptionRest * (subscriptions - 1)",
    "",
    "REST calls of a connection from beginning to end",
  ),
  rule("upstream", "messages + reads + connects * upstreamAConnection", "/s", "upstream calls, mean"),
  rule("peakUpstream", "upstream * peak", "/s", "upstream calls, peak"),
  rule("http", "upstream + connects * callsPerConnection", "/s", "executions of the group http, mean"),
  rule("peakHttp", "http * peak", "/s", "executions of the group http, peak"),
  rule("readSends", "readRest * readsAMessage", "", "sends that show a message's reads, to a stock id"),
  rule(
    "readSendsPacked",
    "min(readsAMessage, readRestPacked)",
    "",
    "the same to all clients that take several frames at once",
  ),
  rule(
    "peakRest",
    "peakMessages * (stockIds * (messageRest + readSends) + messageRest + readSendsPacked) + peakConnects * restAConnection",
    "/s",
    "REST calls, peak",
  ),
  rule(
    "readOut",
    "stockShare * readSends + (1 - stockShare) * readSendsPacked",
    "",
    "WebSocket messages of reads to each receiver of a message",
  ),
  rule("beats", "online * heartBeatShare / 30", "/s", "heart-beats sent"),
  rule(
    "peakOut",
    "peakMessages * receivers * (1 + readOut) + peakUpstream + beats",
    "/s",
    "messages to clients and their answers, peak",
  ),
];

const WEB_PUBSUB: readonly Rule[] = [
  rule("unitsByConnections", "ceil(online / (connectionsAUnit * usedShare))", "units", "by connections"),
  rule("unitsByUpstream", "ceil(peakUpstream / upstreamAUnit)", "units", "by upstream calls"),
  rule("unitsByRest", "ceil(peakRest / restAUnit)", "units", "by REST calls"),
  rule("unitsByOut", "ceil(peakOut / outAUnit)", "units", "by messages to clients"),
  rule(
    "units",
    "unitSize(max(max(unitsByConnections, unitsByUpstream), max(unitsByRest, unitsByOut)))",
    "units",
    "Web PubSub units, as they can be bought",
  ),
  rule(
    "minutesToReconnect",
    "online * restAConnection / (units * restAUnit) / 60",
    "min",
    "until all are connected again after a fault, by REST calls",
  ),
];

const EVENT_HUBS: readonly Rule[] = [
  rule("eventsIn", "peakMessages + peakReads", "/s", "events in, peak"),
  rule(
    "bytesIn",
    "peakMessages * (messageEventBytes + messageBytes) + peakReads * readEventBytes",
    "bytes/s",
    "bytes in, peak; as many go out, as each hub has one reader",
  ),
  rule(
    "throughputUnits",
    "max(1, max(ceil(eventsIn / eventsAThroughputUnit), ceil(bytesIn / bytesAThroughputUnit)))",
    "units",
    "throughput units; out, a unit gives twice the bytes and four times the events",
  ),
  rule(
    "messagePartitionsNeeded",
    "max(1, ceil(peakMessages / eventsAPartition))",
    "",
    "partitions of chat-messages that are needed",
  ),
  rule(
    "readPartitionsNeeded",
    "max(1, ceil(peakReads / eventsAPartition))",
    "",
    "partitions of chat-read-events that are needed",
  ),
  rule(
    "messagePartitions",
    "max(messagePartitionsSaid, partitionCount(2 * messagePartitionsNeeded) * reckonMessagePartitions)",
    "",
    "partitions of chat-messages, twice what is needed, as they can't be added later",
  ),
  rule(
    "readPartitions",
    "max(readPartitionsSaid, partitionCount(2 * readPartitionsNeeded) * reckonReadPartitions)",
    "",
    "partitions of chat-read-events",
  ),
];

const FUNCTIONS: readonly Rule[] = [
  rule("msAnInstance", "cores * 1000 * busyShare", "ms/s", "CPU of an instance in a second, as planned"),
  rule(
    "httpNeeded",
    "max(1, ceil(max(peakHttp * httpCpuMs / msAnInstance, peakHttp * callSeconds / httpConcurrency)))",
    "",
    "instances of http at the peak",
  ),
  rule(
    "messageBatches",
    "min(peakMessages, messagePartitions * batchesAPartition)",
    "/s",
    "executions of chatMessages, peak: the busier, the more events each takes",
  ),
  rule(
    "messageNeeded",
    "max(1, ceil((messageBatches * batchCpuMs + peakMessages * eventCpuMs) / msAnInstance))",
    "",
    "instances of chatMessages at the peak",
  ),
  rule(
    "readBatches",
    "min(peakReads, readPartitions * readBatchesAPartition)",
    "/s",
    "executions of readEvents, peak",
  ),
  rule(
    "readNeeded",
    "max(1, ceil((readBatches * batchCpuMs + peakReads * eventCpuMs) / msAnInstance))",
    "",
    "instances of readEvents at the peak",
  ),
  rule(
    "maximumInstances",
    "max(maximumInstancesSaid, max(4, max(2 * httpNeeded, max(messageNeeded, readNeeded))) * reckonMaximum)",
    "",
    "maximumInstanceCount: the most instances of each group on demand",
  ),
  rule("httpMost", "maximumInstances + alwaysReadyHttp", "", "the most instances of http"),
  rule(
    "messageMost",
    "min(maximumInstances + alwaysReadyMessages, messagePartitions)",
    "",
    "the most instances of chatMessages: one a partition",
  ),
  rule("readMost", "min(maximumInstances, readPartitions)", "", "the most instances of readEvents"),
  rule(
    "instancesMost",
    "httpMost + messageMost + readMost + 3",
    "",
    "the same of all, and of the timers: sweep, heartBeat, audit",
  ),
  rule("coresMost", "instancesMost * cores", "cores", "of the region's quota"),
];

const MYSQL: readonly Rule[] = [
  rule("connections", "instancesMost * poolSize", "", "connections that the instances may hold"),
  rule("connectionsNeeded", "ceil(connections / usedShare)", "", "max_connections that is needed"),
  rule(
    "statements",
    "(messageBatches + readBatches) * batchSql + (peakMessages + peakReads) * eventSql + peakConnects * (connectionSql + subscriptionSql * (subscriptions - 1))",
    "/s",
    "SQL statements, peak",
  ),
  rule(
    "mysqlCores",
    "((messageBatches + readBatches) * batchMysqlMs + (peakMessages + peakReads) * eventMysqlMs + peakConnects * (connectionMysqlMs + subscriptionMysqlMs * (subscriptions - 1))) / 1000 / busyShare",
    "cores",
    "processors, as planned",
  ),
  rule(
    "iops",
    "flushesATransaction * (messageBatches + readBatches + peakConnects * (connectionTransactions + subscriptions)) + pagesAMessage * peakMessages",
    "/s",
    "writes, at most",
  ),
  rule(
    "growthGb",
    "messages * secondsADay * daysAMonth * (messageRowBytes + messageBytes) * storageSlack / 1000000000",
    "GB",
    "a month's messages",
  ),
  rule(
    "mysqlGb",
    "max(20, ceil(growthGb * keepMonths + users * roomsPerUser * memberRowBytes * storageSlack / 1000000000))",
    "GB",
    "storage for the messages that are kept and all members",
  ),
];

const REDIS: readonly Rule[] = [
  rule(
    "redisGb",
    "(online * redisUserBytes + users * roomsPerUser * redisMemberBytes) * redisSlack / redisShare / 1000000000",
    "GB",
    "sessions of all who are connected, members of all rooms",
  ),
  rule(
    "redisCalls",
    "peakMessages * messageRedis + peakReads * readRedis + peakConnects * (connectionRedis + subscriptionRedis * (subscriptions - 1))",
    "/s",
    "calls, peak",
  ),
];

/** What a month's bill is made of. Execution is billed while an instance has something to do. */
const MONTH: readonly Rule[] = [
  rule("seconds", "secondsADay * daysAMonth", "s", "a month"),
  rule(
    "billedOut",
    "(messages * receivers * ceil((messageFrameBytes + messageBytes) / billedBytes) + messages * receivers * readOut + upstream * 2 + beats) * seconds / 1000000",
    "millions",
    "outbound messages of 2 KB: to clients, answers, upstream calls",
  ),
  rule("outIncluded", "units * daysAMonth", "millions", "outbound messages that the units include"),
  rule("outBilled", "max(0, billedOut - outIncluded)", "millions", "outbound messages that are paid for"),
  rule("events", "(messages + reads) * seconds / 1000000", "millions", "events in"),
  rule(
    "httpSpread",
    "max(1, max(alwaysReadyHttp, ceil(http * httpCpuMs / msAnInstance)))",
    "",
    "instances of http that share its executions, mean",
  ),
  rule(
    "httpBusy",
    "httpSpread * (1 - exp(-http * billedSeconds / httpSpread))",
    "",
    "those that execute at a moment, mean",
  ),
  rule(
    "messageSpread",
    "max(1, max(alwaysReadyMessages, ceil(min(messages, messageBatches) * batchCpuMs / msAnInstance)))",
    "",
    "the same of chatMessages",
  ),
  rule(
    "messageBusy",
    "messageSpread * (1 - exp(-messages * billedSeconds / messageSpread))",
    "",
    "the same of chatMessages",
  ),
  rule(
    "readBusy",
    "max(1 - exp(-reads * billedSeconds), min(reads, readBatches) * batchCpuMs / msAnInstance)",
    "",
    "the same of readEvents",
  ),
  rule("timerBusy", "billedSeconds / 5 + billedSeconds / 30", "", "the same of sweep and heartBeat"),
  rule(
    "readyBusy",
    "min(httpBusy, alwaysReadyHttp) + min(messageBusy, alwaysReadyMessages)",
    "",
    "of these, always-ready ones",
  ),
  rule(
    "onDemandGbSeconds",
    "max(0, (httpBusy + messageBusy + readBusy + timerBusy - readyBusy) * gb * seconds - freeGbSeconds)",
    "GB-s",
    "on demand",
  ),
  rule("readyBusyGbSeconds", "readyBusy * gb * seconds", "GB-s", "always ready, executing"),
  rule(
    "readyGbSeconds",
    "(alwaysReadyHttp + alwaysReadyMessages) * gb * seconds",
    "GB-s",
    "always ready, all the time",
  ),
  rule(
    "executions",
    "(http + min(messages, messageBatches) + min(reads, readBatches) + 1 / 5 + 1 / 30) * seconds / 1000000",
    "millions",
    "executions",
  ),
  rule(
    "executionsBilled",
    "max(0, executions - freeExecutions / 1000000)",
    "millions",
    "those that are paid for",
  ),
  rule(
    "blobWrites",
    "(min(messages, messageBatches) + min(reads, readBatches)) * seconds / batchesACheckpoint / 10000 + (messagePartitions + readPartitions) * seconds / leaseSeconds / 10000",
    "10,000",
    "writes of checkpoints and leases",
  ),
  rule(
    "logGb",
    "executions * loggedShare * logBytesAnExecution / 1000",
    "GB",
    "logs and traces of the functions",
  ),
  rule(
    "requestLogGb",
    "logsRequests * peakRest / peak * seconds * logBytesACall / 1000000000",
    "GB",
    "Web PubSub's log of REST calls",
  ),
  rule(
    "logGbADay",
    "(logGb + requestLogGb) / daysAMonth",
    "GB",
    "a day's logs: the daily quota must be more",
  ),
];

/** All that is computed, by service. */
export const RULES = {
  "What there is to do": LOAD,
  "Web PubSub": WEB_PUBSUB,
  "Event Hubs": EVENT_HUBS,
  Functions: FUNCTIONS,
  MySQL: MYSQL,
  Redis: REDIS,
  "A month": MONTH,
} as const satisfies Readonly<Record<string, readonly Rule[]>>;
