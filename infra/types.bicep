// The values that a parameter may have. The compiler takes almost any text for a SKU or a tier, as the
// services' own types are open; a wrong one would be found by the deployment alone, half way through.

@export()
@description('Who can reach the services by network. Clients reach the function app and the sockets either way.')
type networkType = 'public' | 'private'

@export()
@description('What the function app runs on.')
type functionsType = {
  @description('Memory of an instance; its share of a processor grows with it: 1/4, 1, 2 cores.')
  instanceMemoryMB: 512 | 2048 | 4096

  @description('The most instances of each scale group on demand. Bursts may pass it for a moment.')
  @minValue(1)
  @maxValue(1000)
  maximumInstanceCount: int

  @description('HTTP requests that one instance gets at a time. The host\'s own limit does not count on this plan.')
  @minValue(1)
  @maxValue(1000)
  httpConcurrency: int

  @description('Instances that always run, for HTTP and for the reader of messages. 0 lets the app sleep.')
  alwaysReady: {
    @description('For HTTP: clients\' calls and the sockets\' events.')
    @minValue(0)
    @maxValue(100)
    http: int

    @description('For the function that stores and shows messages.')
    @minValue(0)
    @maxValue(100)
    chatMessages: int
  }

  @description('Instances in several zones. The platform then keeps two of every group ready (HTTP and each other function), at their price. The region has to have zones.')
  zoneRedundant: bool

  @description('How new code replaces old. RollingUpdate (a preview) runs both for a while and ends no execution.')
  siteUpdate: 'Recreate' | 'RollingUpdate'
}

@export()
@description('Every hub by its name, as in hubs.json.')
type hubsType = {
  @description('A hub.')
  *: {
    @description('The usual number of partitions.')
    partitions: int
    @description('How long events are kept.')
    retentionHours: int
    @description('What happens to events past that.')
    cleanup: 'delete' | 'compact'
    @description('Who reads it.')
    consumerGroups: string[]
  }
}

@export()
@description('Partitions of the hubs that clients\' events wait in. What is left out is as in hubs.json.')
type partitionsType = {
  @description('Of chat-messages. It can never be changed below Premium, as rooms belong to partitions. It bounds the instances that store messages.')
  @minValue(1)
  @maxValue(100)
  'chat-messages': int?

  @description('Of chat-read-events. It can never be changed below Premium.')
  @minValue(1)
  @maxValue(100)
  'chat-read-events': int?
}

@export()
@description('The Event Hubs namespace. Its tier can never be changed.')
type eventHubsType = {
  @description('Basic is missing: it has one consumer group a hub, and the app needs two.')
  tier: 'Standard' | 'Premium'

  @description('Throughput units of Standard, each 1 MB/s or 1,000 events/s in and 2 MB/s out; processing units of Premium.')
  @minValue(1)
  @maxValue(40)
  capacity: int

  @description('Standard alone: to how many units a busy namespace grows by itself. It never shrinks by itself. The capacity itself switches growing off.')
  @minValue(1)
  @maxValue(40)
  maximumThroughputUnits: int

  @description('Partitions, where they differ from hubs.json.')
  partitions: partitionsType?

  @description('Whether every message is also written to Blob Storage, in Avro. Standard has it for a price.')
  capture: bool

  @description('Days that captured messages are kept. Messages that users delete stay in them till then.')
  @minValue(1)
  @maxValue(3650)
  captureDays: int
}

@export()
@description('The Web PubSub resource.')
type webPubSubType = {
  @description('Free_F1 has 20 connections and no availability promise.')
  sku: 'Free_F1' | 'Standard_S1' | 'Premium_P1' | 'Premium_P2'

  @description('Units of 1,000 connections: 1 for Free, 1 to 100 for Standard and P1, 100 to 1,000 for P2.')
  @minValue(1)
  @maxValue(1000)
  units: int

  @description('Whether each REST call and handshake is logged. The alert on refused (429) calls needs it. A row costs some 0.5 KB of log.')
  requestLogs: bool
}

@export()
@description('Sizes of MySQL that the table of connections knows.')
type mysqlSkuType =
  | 'Standard_B1ms'
  | 'Standard_B2s'
  | 'Standard_B2ms'
  | 'Standard_D2ads_v5'
  | 'Standard_D4ads_v5'
  | 'Standard_D8ads_v5'
  | 'Standard_D16ads_v5'

@export()
@description('The MySQL server.')
type mysqlType = {
  @description('Size. B is burstable: for trying things, not for load, and without high availability.')
  sku: mysqlSkuType

  @description('Storage. It grows by itself and never shrinks.')
  @minValue(20)
  @maxValue(16384)
  storageGB: int

  @description('A standby server. It can be chosen when the server is made, not later. Burstable has none.')
  highAvailability: 'Disabled' | 'SameZone' | 'ZoneRedundant'

  @description('Days that the server can be restored to any second of.')
  @minValue(1)
  @maxValue(35)
  backupDays: int

  @description('Backups also in the paired region. It can be chosen when the server is made, not later.')
  geoRedundantBackup: bool

  @description('Connections that one instance of the app may hold, in the bounds of shared/settings.ts.')
  @minValue(4)
  @maxValue(200)
  poolSize: int
}

@description('The app signs in with a generated password, which only Key Vault has.')
type mysqlPasswordType = {
  @description('password')
  mode: 'password'
}

@description('The app signs in with its identity. A tenant administrator has to prepare the server\'s identity (infra/README.md).')
type mysqlEntraType = {
  @description('entra')
  mode: 'entra'

  @description('Name of the user or group of the directory that administers the server.')
  @minLength(1)
  @maxLength(32)
  adminLogin: string

  @description('Object id of that user or group.')
  @minLength(36)
  @maxLength(36)
  adminObjectId: string
}

@export()
@description('How the app signs in to MySQL.')
@discriminator('mode')
type mysqlSignInType = mysqlPasswordType | mysqlEntraType

@export()
@description('Azure Managed Redis.')
type redisType = {
  @description('Size in GB by the number: B0 has 0.5, B1 has 1. A fifth of it is reserved.')
  sku: 'Balanced_B0' | 'Balanced_B1' | 'Balanced_B3' | 'Balanced_B5' | 'Balanced_B10' | 'Balanced_B20'

  @description('A replica. It can\'t be switched off later.')
  highAvailability: bool

  @description('NoCluster can become OSSCluster later, never the other way.')
  clustering: 'NoCluster' | 'OSSCluster'
}

@export()
@description('The identity provider of clients.')
type authType = {
  @description('Claim iss of clients\' tokens.')
  @minLength(1)
  issuer: string

  @description('Claim aud of clients\' tokens.')
  @minLength(1)
  audience: string

  @description('Address of the provider\'s keys: https.')
  @minLength(9)
  jwksUri: string
}

@export()
@description('The tokens by which the app knows calls of Web PubSub.')
type upstreamType = {
  @description('For what the service asks a token: an application of this directory.')
  @minLength(1)
  resource: string

  @description('Claim aud of these tokens.')
  @minLength(1)
  audience: string

  @description('Claim iss of these tokens. Empty: the directory\'s, in the form of version 2.0.')
  issuer: string
}

@minValue(0)
@maxValue(999999)
@description('How many in any 60 seconds; 0 is no limit.')
type limitType = int

@export()
@description('Limits of a user, as docs/operations.md says. What is left out is as usual.')
type limitsType = {
  @description('Live connections.')
  SESSION_LIMIT: limitType?
  @description('Messages.')
  RATE_LIMIT_PER_MINUTE: limitType?
  @description('Reads.')
  RATE_LIMIT_READS_PER_MINUTE: limitType?
  @description('SUBSCRIBEs.')
  RATE_LIMIT_SUBSCRIBES_PER_MINUTE: limitType?
  @description('UNSUBSCRIBEs.')
  RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE: limitType?
  @description('Negotiations and renewed tokens.')
  RATE_LIMIT_NEGOTIATES_PER_MINUTE: limitType?
  @description('HTTP calls that change something.')
  RATE_LIMIT_WRITES_PER_MINUTE: limitType?
  @description('Other HTTP calls.')
  RATE_LIMIT_LOOKUPS_PER_MINUTE: limitType?
  @description('Handshakes.')
  RATE_LIMIT_HANDSHAKES_PER_MINUTE: limitType?
  @description('WebSocket messages without a frame.')
  RATE_LIMIT_EMPTY_MESSAGES_PER_MINUTE: limitType?
  @description('Pieces of frames.')
  RATE_LIMIT_PIECES_PER_MINUTE: limitType?
}

@export()
@description('The monthly budget of the resource group.')
type budgetType = {
  @description('In the subscription\'s currency. 0: no budget is made.')
  @minValue(0)
  amount: int

  @description('First day of the month in which it was made, like 2026-12-01. It stays the same in later deployments: the service refuses a month that is past in a new budget.')
  startDate: string
}

@export()
@description('Log Analytics.')
type logsType = {
  @description('Days that logs are kept. 31 cost nothing more.')
  @minValue(30)
  @maxValue(730)
  retentionDays: int

  @description('GB that are taken in a day; the rest of the day is not logged. -1: no limit.')
  @minValue(-1)
  @maxValue(1000)
  dailyQuotaGB: int
}

@export()
@description('All that makes a deployment big or small.')
type sizeType = {
  @description('Functions.')
  functions: functionsType
  @description('Event Hubs.')
  eventHubs: eventHubsType
  @description('Web PubSub.')
  webPubSub: webPubSubType
  @description('MySQL.')
  mysql: mysqlType
  @description('Redis.')
  redis: redisType
  @description('Logs.')
  logs: logsType
}

@export()
@description('Connections that a MySQL server of each size takes: what max_connections is by itself, as nothing here sets it. It may be raised to twice as much, at the cost of memory for rows. The app may use four fifths.')
var mysqlConnections = {
  Standard_B1ms: 171
  Standard_B2s: 341
  Standard_B2ms: 683
  Standard_D2ads_v5: 683
  Standard_D4ads_v5: 1365
  Standard_D8ads_v5: 2731
  Standard_D16ads_v5: 5461
}

@export()
@description('An alert on one metric of a service.')
type metricAlertType = {
  @description('Name.')
  name: string
  @description('What it means, and what to do.')
  description: string
  @description('What is watched.')
  target: 'eventHubs' | 'webPubSub' | 'mysql' | 'redis' | 'storage'
  @description('1 wakes somebody, 2 is for the day, 3 is for the week.')
  severity: 1 | 2 | 3
  @description('The metric\'s name in the REST API.')
  metric:
    | 'IncomingMessages'
    | 'ThrottledRequests'
    | 'ServerErrors'
    | 'QuotaExceededErrors'
    | 'ConnectionQuotaUtilization'
    | 'ServerLoad'
    | 'ConnectionCloseCount'
    | 'active_connections'
    | 'cpu_percent'
    | 'memory_percent'
    | 'storage_percent'
    | 'io_consumption_percent'
    | 'usedmemorypercentage'
    | 'errors'
    | 'percentProcessorTime'
    | 'Availability'
  @description('How the values of the window become one.')
  aggregation: 'Average' | 'Maximum' | 'Total'
  @description('GreaterThan where it is left out.')
  operator: 'GreaterThan' | 'LessThan'?
  @description('What it is compared with.')
  threshold: int
  @description('Whether the service has to know the metric already when the alert is made. A name that no page of Microsoft\'s lists would fail the deployment.')
  isListed: bool?
  @description('How far back it looks. Redis measures every five minutes.')
  window: 'PT5M' | 'PT15M'
  @description('The part of the metric that is looked at.')
  dimension: {
    @description('Name.')
    name: 'EntityName' | 'ConnectionCloseCategory'
    @description('Values.')
    values: string[]
  }?
}

@export()
@description('An alert on what a query of the logs finds.')
type logAlertType = {
  @description('Name.')
  name: string
  @description('What it means, and what to do.')
  description: string
  @description('1 wakes somebody, 2 is for the day, 3 is for the week.')
  severity: 1 | 2 | 3
  @description('The query. It gives rows with the columns TimeGenerated, Value and, where it splits, Part.')
  query: string
  @description('Whether each Part has an alert of its own.')
  split: bool
  @description('How the Values of five minutes become one.')
  aggregation: 'Maximum' | 'Total' | 'Count'
  @description('Past which it fires.')
  threshold: int
  @description('How far back it looks; PT5M where it is left out.')
  window: 'PT5M' | 'P1D'?
}

@export()
@description('Built-in roles, by the name that the portal shows.')
var roles = {
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  'Azure Event Hubs Data Receiver': 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
  'Azure Event Hubs Data Sender': '2b629674-e913-4c01-ae53-ef4638d8f975'
  'Web PubSub Service Owner': '12cf5a90-567b-43ae-8102-96cf46c7d9b4'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
}
