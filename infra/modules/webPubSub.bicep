import { networkType, webPubSubType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name, which is also the host\'s: NAME.webpubsub.azure.com.')
@minLength(3)
@maxLength(63)
param name string

@description('SKU and units.')
param webPubSub webPubSubType

@description('Who can reach it.')
param network networkType

@description('Resource id of the workspace that logs go to.')
param workspaceId string

resource service 'Microsoft.SignalRService/webPubSub@2024-03-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: webPubSub.sku, capacity: webPubSub.units }
  // Its calls to the app are signed by this identity.
  identity: { type: 'SystemAssigned' }
  properties: {
    // No access key: neither in a token of a client nor as a signature of an upstream call.
    disableLocalAuth: true
    disableAadAuth: false
    // Clients come from anywhere. In a private network all else comes by the private endpoint. Its name is made
    // by the service, so the rule is about the public side: what is not denied there is allowed.
    publicNetworkAccess: 'Enabled'
    networkACLs: network == 'private'
      ? { defaultAction: 'Allow', publicNetwork: { deny: ['ServerConnection', 'RESTAPI', 'Trace'] } }
      : { defaultAction: 'Allow' }
    tls: { clientCertEnabled: false }
    resourceLogConfiguration: {
      categories: [
        { name: 'ConnectivityLogs', enabled: 'true' }
        { name: 'HttpRequestLogs', enabled: webPubSub.requestLogs ? 'true' : 'false' }
        // A row for each message: the bill would be mostly of these.
        { name: 'MessagingLogs', enabled: 'false' }
      ]
    }
  }
}

#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: service
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'ConnectivityLogs', enabled: true }
      { category: 'HttpRequestLogs', enabled: webPubSub.requestLogs }
    ]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the service.')
output id string = service.id

@description('Host that clients and the app call.')
output host string = service.properties.hostName

@description('Object id of the identity that signs upstream calls.')
output principalId string = service.identity.principalId
