// What needs the code, deployed by itself and last. The hub's event handler: the service asks the app for leave
// (OPTIONS) before it sends events, and an app without its code would refuse. The test from outside and its alert:
// before there is code they would wake somebody for nothing.

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

@description('Region of the test from outside.')
param location string = resourceGroup().location

// Names of one deployment differ in what stands before the hash alone (main.bicep).
var token = replace(webPubSubName, 'wps-', '')
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

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: 'appi-${token}'
}

resource actions 'Microsoft.Insights/actionGroups@2023-01-01' existing = {
  name: 'ag-${token}'
}

module availability 'availability.bicep' = {
  params: {
    location: location
    functionAppUrl: functionAppUrl
    insightsId: insights.id
    actionsId: actions.id
  }
}
