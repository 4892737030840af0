// The hub's event handler, deployed by itself and last: the service asks the app for leave (OPTIONS) before it
// sends events, and an app without its code would refuse.

targetScope = 'resourceGroup'

@description('Name of the Web PubSub resource (AZURE_WEB_PUBSUB_NAME).')
@minLength(3)
@maxLength(63)
param webPubSubName string

@description('Address of the function app, like https://NAME.azurewebsites.net (AZURE_FUNCTION_APP_URL).')
@minLength(9)
param functionAppUrl string

@description('For what the service asks the token that it shows the app (AZURE_UPSTREAM_AUDIENCE).')
@minLength(1)
param upstreamAudience string = 'api://AzureADTokenExchange'

var routePrefix = loadJsonContent('../../host.json').extensions.http.routePrefix

resource service 'Microsoft.SignalRService/webPubSub@2024-03-01' existing = {
  name: webPubSubName
}

resource chat 'Microsoft.SignalRService/webPubSub/hubs@2024-03-01' = {
  parent: service
  name: 'chat'
  properties: {
    // Stock STOMP clients connect with the identity provider's token alone (?token=…), and without the service's
    // own. Nobody gets in by that: the app checks the token in the event `connect`, and refuses.
    anonymousConnectPolicy: 'allow'
    eventHandlers: [
      {
        // The route of functions/clientEvent.ts. The service puts the event's name in.
        urlTemplate: '${functionAppUrl}/${routePrefix}/upstream/{event}'
        userEventPattern: '*'
        systemEvents: ['connect', 'connected', 'disconnected']
        auth: { type: 'ManagedIdentity', managedIdentity: { resource: upstreamAudience } }
      }
    ]
  }
}
