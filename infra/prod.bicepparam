using 'main.bicep'

import { prod } from 'sizes.bicep'

// For the snapshot beside it, not for a deployment: `AZURE_SIZE=prod` deploys this size by main.bicepparam.
param environmentName = 'prod'
param location = 'koreacentral'
param network = 'private'
param functions = prod.functions
param eventHubs = prod.eventHubs
param webPubSub = prod.webPubSub
param mysql = prod.mysql
param redis = prod.redis
param logs = prod.logs
param mysqlSignIn = {
  mode: 'entra'
  adminLogin: 'chat-administrators'
  adminObjectId: '00000000-0000-0000-0000-00000000a001'
}
param auth = {
  issuer: 'https://id.example.com/'
  audience: 'nonstop-chat'
  jwksUri: 'https://id.example.com/.well-known/jwks.json'
}
param upstream = {
  resource: 'api://AzureADTokenExchange'
  audience: 'fb60f99c-7a34-4190-8149-302f77469936'
  issuer: ''
}
param allowedOrigins = ['https://chat.example.com', 'capacitor://localhost']
param limits = {}
param heartBeats = true
param alertEmail = 'operators@example.com'
param budget = { amount: 2000, startDate: '2026-12-01' }
param deployerId = '00000000-0000-0000-0000-00000000d001'
param deployerType = 'ServicePrincipal'
