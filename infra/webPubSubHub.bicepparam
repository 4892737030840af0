using 'modules/webPubSubHub.bicep'

// From azd's environment, which has them as outputs of main.bicep.
param webPubSubName = readEnvironmentVariable('AZURE_WEB_PUBSUB_NAME')
param functionAppUrl = readEnvironmentVariable('AZURE_FUNCTION_APP_URL')
param upstreamAudience = readEnvironmentVariable('AZURE_UPSTREAM_AUDIENCE')
