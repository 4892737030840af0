/**
 * What Azure's services call things. To the compiler nearly all of it is any text: a wrong name would be found
 * when it is deployed, or, of a metric or a log, never.
 */

/**
 * Metrics by their names in the REST API, with their dimensions. Source: the pages "Supported metrics" of each
 * resource type at https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics (read in 2026;
 * those of MySQL, Event Hubs and Redis in the version of 2024, `errors` of Redis in other people's
 * integrations).
 */
export const METRICS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "Microsoft.EventHub/namespaces": {
    IncomingMessages: ["EntityName"],
    OutgoingMessages: ["EntityName"],
    IncomingBytes: ["EntityName"],
    OutgoingBytes: ["EntityName"],
    IncomingRequests: ["EntityName"],
    ThrottledRequests: ["EntityName", "OperationResult"],
    ServerErrors: ["EntityName", "OperationResult"],
    UserErrors: ["EntityName", "OperationResult"],
    QuotaExceededErrors: ["EntityName", "OperationResult"],
    SuccessfulRequests: ["EntityName", "OperationResult"],
    CaptureBacklog: ["EntityName"],
    Size: ["EntityName"],
    ActiveConnections: [],
    NamespaceCpuUsage: ["Replica"],
    NamespaceMemoryUsage: ["Replica"],
  },
  "Microsoft.SignalRService/webPubSub": {
    ConnectionCloseCount: ["ConnectionCloseCategory"],
    ConnectionOpenCount: [],
    ConnectionQuotaUtilization: [],
    InboundTraffic: [],
    OutboundTraffic: [],
    ServerLoad: [],
    TotalConnectionCount: [],
    ClientRequestStatus: ["ClientType", "Status"],
    RestApiResponseTimeCount: ["ResponseTime", "RestApiCategory"],
  },
  "Microsoft.DBforMySQL/flexibleServers": {
    aborted_connections: [],
    active_connections: [],
    active_transactions: [],
    cpu_credits_remaining: [],
    cpu_percent: [],
    io_consumption_percent: [],
    memory_percent: [],
    storage_percent: [],
    Slow_queries: [],
    Threads_running: [],
    total_connections: [],
  },
  "Microsoft.Cache/redisEnterprise": {
    cacheLatency: ["InstanceId"],
    connectedclients: ["InstanceId"],
    errors: ["InstanceId"],
    evictedkeys: [],
    operationsPerSecond: [],
    percentProcessorTime: ["InstanceId"],
    serverLoad: [],
    usedmemory: [],
    usedmemorypercentage: [],
  },
  "Microsoft.Storage/storageAccounts": {
    Availability: ["GeoType", "ApiName", "Authentication"],
    Transactions: ["ResponseType", "GeoType", "ApiName", "Authentication"],
  },
};

/**
 * Why Web PubSub closes connections. Source:
 * https://learn.microsoft.com/azure/azure-web-pubsub/concept-metrics.
 */
export const CLOSE_CATEGORIES: readonly string[] = [
  "Normal",
  "Throttled",
  "SendEventFailed",
  "EventHandlerNotFound",
  "SlowClient",
  "ServiceTransientError",
  "BadRequest",
  "ServiceReload",
  "Unauthorized",
];

/** The app's own metrics with their attributes (docs/operations.md). */
export const APP_METRICS: Readonly<Record<string, readonly string[]>> = {
  "chat.lag.age": ["hub", "partition"],
  "chat.lag.events": ["hub", "partition"],
  "chat.dead_letters": ["hub", "code"],
  "chat.health": [],
  "chat.refusals": ["code", "via"],
  "chat.batch.duration": ["hub", "outcome"],
  "chat.broadcast.duration": ["kind", "outcome"],
  "chat.mysql.connections": ["state"],
};

/**
 * Columns that queries here may use, by table. Source: the pages of the tables at
 * https://learn.microsoft.com/azure/azure-monitor/reference/tables.
 */
export const TABLES: Readonly<Record<string, readonly string[]>> = {
  AppMetrics: ["Name", "Sum", "Min", "Max", "ItemCount", "Properties", "TimeGenerated"],
  AppRequests: [
    ...["Name", "OperationName", "OperationId", "Success", "ResultCode", "ItemCount", "DurationMs"],
    ...["Properties", "TimeGenerated", "Type", "AppRoleInstance"],
  ],
  AppDependencies: ["Name", "OperationId", "DurationMs", "Success", "Properties", "TimeGenerated", "Type"],
  AppTraces: ["Message", "SeverityLevel", "OperationId", "ItemCount", "Properties", "TimeGenerated", "Type"],
  AppExceptions: ["OperationId", "Properties", "TimeGenerated", "Type"],
  AzureMetrics: ["MetricName", "Total", "Maximum", "Average", "TimeGenerated"],
  WebPubSubHttpRequest: ["StatusCode", "OperationName", "TimeGenerated"],
};

/** Log categories and groups that diagnostic settings may name, by what they are settings of. */
export const LOG_CATEGORIES: Readonly<Record<string, readonly string[]>> = {
  "Microsoft.EventHub/namespaces": ["allLogs"],
  "Microsoft.SignalRService/webPubSub": ["ConnectivityLogs", "HttpRequestLogs", "MessagingLogs"],
  "Microsoft.DBforMySQL/flexibleServers": ["allLogs"],
  "Microsoft.Cache/redisEnterprise": [],
  "Microsoft.Cache/redisEnterprise/databases": ["allLogs"],
  "Microsoft.Storage/storageAccounts/blobServices": ["StorageDelete", "StorageRead", "StorageWrite"],
  "Microsoft.KeyVault/vaults": ["audit", "allLogs"],
  "Microsoft.Web/sites": [],
};

/**
 * App settings that Flex Consumption refuses or passes over. Source: "Flex Consumption plan deprecations" at
 * https://learn.microsoft.com/azure/azure-functions/functions-app-settings.
 */
export const REFUSED_ON_FLEX: readonly RegExp[] = [
  /^FUNCTIONS_/,
  /^WEBSITE_(RUN_FROM_PACKAGE|CONTENT|NODE_DEFAULT_VERSION|VNET_ROUTE_ALL|TIME_ZONE|MAX_DYNAMIC)/,
  /^(SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD)$/,
  // Even an empty one wins over the settings of the identity.
  /^AzureWebJobsStorage$/,
];

/** Properties of a site's configuration that Flex Consumption refuses. */
export const REFUSED_SITE_CONFIG: readonly string[] = [
  "alwaysOn",
  "linuxFxVersion",
  "functionAppScaleLimit",
  "vnetRouteAllEnabled",
  "ftpsState",
  "healthCheckPath",
  "preWarmedInstanceCount",
];

/**
 * What a resource may be called. Source:
 * https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules.
 */
export const NAMES: Readonly<Record<string, RegExp>> = {
  "Microsoft.Resources/resourceGroups": /^[\w().-]{0,89}[\w()-]$/,
  "Microsoft.ManagedIdentity/userAssignedIdentities": /^[A-Za-z0-9][\w-]{2,127}$/,
  "Microsoft.OperationalInsights/workspaces": /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
  "Microsoft.Insights/components": /^.{1,260}$/,
  "Microsoft.Insights/actionGroups": /^[^/&%?:<>+|]{1,260}$/,
  "Microsoft.Storage/storageAccounts": /^[a-z0-9]{3,24}$/,
  "Microsoft.EventHub/namespaces": /^[A-Za-z][A-Za-z0-9-]{6,48}[A-Za-z0-9]$/,
  "Microsoft.SignalRService/webPubSub": /^[A-Za-z][A-Za-z0-9-]{1,61}[A-Za-z0-9]$/,
  "Microsoft.KeyVault/vaults": /^[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]$/,
  "Microsoft.DBforMySQL/flexibleServers": /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
  "Microsoft.Cache/redisEnterprise": /^[A-Za-z0-9](?!.*--)[A-Za-z0-9-]{0,58}[A-Za-z0-9]$/,
  "Microsoft.Web/serverfarms": /^[A-Za-z0-9-]{1,60}$/,
  "Microsoft.Web/sites": /^[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]$/,
  "Microsoft.Network/virtualNetworks": /^[A-Za-z0-9][\w.-]{0,62}\w$/,
  "Microsoft.Network/publicIPAddresses": /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  "Microsoft.Network/natGateways": /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  "Microsoft.Network/networkSecurityGroups": /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  "Microsoft.Network/privateEndpoints": /^[A-Za-z0-9][\w.-]{0,62}\w$/,
};

/**
 * Literals that are any text to the compiler: the values that are right here, by type and path. Source: the
 * resource types' own documentation.
 */
export const LITERALS: readonly (readonly [type: string, path: string, allowed: readonly unknown[]])[] = [
  ["Microsoft.Storage/storageAccounts", "kind", ["StorageV2"]],
  ["Microsoft.Storage/storageAccounts", "sku/name", ["Standard_LRS", "Standard_ZRS", "Standard_GZRS"]],
  // TLS1_3 is listed, and not supported.
  ["Microsoft.Storage/storageAccounts", "properties/minimumTlsVersion", ["TLS1_2"]],
  ["Microsoft.Storage/storageAccounts", "properties/publicNetworkAccess", ["Enabled", "Disabled"]],
  ["Microsoft.Storage/storageAccounts", "properties/networkAcls/bypass", ["AzureServices"]],
  ["Microsoft.EventHub/namespaces", "sku/name", ["Standard", "Premium"]],
  ["Microsoft.EventHub/namespaces", "sku/tier", ["Standard", "Premium"]],
  ["Microsoft.EventHub/namespaces", "properties/minimumTlsVersion", ["1.2", "1.3"]],
  ["Microsoft.EventHub/namespaces", "properties/publicNetworkAccess", ["Enabled", "Disabled"]],
  ["Microsoft.SignalRService/webPubSub", "sku/name", ["Free_F1", "Standard_S1", "Premium_P1", "Premium_P2"]],
  ["Microsoft.SignalRService/webPubSub", "identity/type", ["SystemAssigned"]],
  ["Microsoft.SignalRService/webPubSub", "properties/publicNetworkAccess", ["Enabled"]],
  ["Microsoft.SignalRService/webPubSub", "properties/networkACLs/defaultAction", ["Allow", "Deny"]],
  ["Microsoft.KeyVault/vaults", "properties/publicNetworkAccess", ["Enabled", "Disabled", undefined]],
  ["Microsoft.DBforMySQL/flexibleServers", "sku/tier", ["Burstable", "GeneralPurpose", "MemoryOptimized"]],
  ["Microsoft.DBforMySQL/flexibleServers", "properties/version", ["8.4"]],
  ["Microsoft.DBforMySQL/flexibleServers", "properties/storage/autoGrow", ["Enabled"]],
  [
    "Microsoft.DBforMySQL/flexibleServers",
    "properties/highAvailability/mode",
    ["Disabled", "SameZone", "ZoneRedundant"],
  ],
  ["Microsoft.Cache/redisEnterprise", "properties/minimumTlsVersion", ["1.2"]],
  ["Microsoft.Cache/redisEnterprise", "properties/highAvailability", ["Enabled", "Disabled"]],
  ["Microsoft.Cache/redisEnterprise/databases", "properties/evictionPolicy", ["NoEviction"]],
  ["Microsoft.Cache/redisEnterprise/databases", "properties/clientProtocol", ["Encrypted"]],
  ["Microsoft.Cache/redisEnterprise/databases", "properties/port", [10000]],
  ["Microsoft.Cache/redisEnterprise/databases", "properties/clusteringPolicy", ["NoCluster", "OSSCluster"]],
  ["Microsoft.Web/serverfarms", "kind", ["functionapp"]],
  ["Microsoft.Web/serverfarms", "sku/name", ["FC1"]],
  ["Microsoft.Web/serverfarms", "sku/tier", ["FlexConsumption"]],
  ["Microsoft.Web/serverfarms", "properties/reserved", [true]],
  ["Microsoft.Web/sites", "kind", ["functionapp,linux"]],
  ["Microsoft.Web/sites", "properties/siteConfig/minTlsVersion", ["1.2", "1.3"]],
  ["Microsoft.Web/sites", "properties/functionAppConfig/runtime/name", ["node"]],
  ["Microsoft.Web/sites", "properties/functionAppConfig/runtime/version", ["22"]],
  ["Microsoft.Web/sites", "properties/functionAppConfig/deployment/storage/type", ["blobContainer"]],
  [
    "Microsoft.Web/sites",
    "properties/functionAppConfig/deployment/storage/authentication/type",
    ["UserAssignedIdentity"],
  ],
  [
    "Microsoft.Web/sites",
    "properties/functionAppConfig/siteUpdateStrategy/type",
    ["Recreate", "RollingUpdate"],
  ],
  ["Microsoft.OperationalInsights/workspaces", "properties/sku/name", ["PerGB2018"]],
  ["Microsoft.Insights/components", "kind", ["web"]],
  ["Microsoft.Insights/scheduledQueryRules", "kind", ["LogAlert"]],
];
