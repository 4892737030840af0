@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Names of the identities: of the app, of Capture, of the MySQL server.')
param names { app: string, capture: string, mysql: string }

@description('Whether Event Hubs writes messages to storage.')
param hasCapture bool

@description('Whether the MySQL server looks people up in the directory.')
param hasMysql bool

@description('The app\'s identity: every credential in its code and its host.')
resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.app
  location: location
  tags: tags
}

// The namespace's own (system-assigned) identity would be a circle: a hub with Capture wants the role, and
// the role the namespace's identity.
@description('What Event Hubs writes captured messages as.')
resource capture 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (hasCapture) {
  name: names.capture
  location: location
  tags: tags
}

@description('What the MySQL server reads the directory as. A tenant administrator gives it the rights.')
resource mysql 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (hasMysql) {
  name: names.mysql
  location: location
  tags: tags
}

@description('Resource id of the app\'s identity.')
output appId string = app.id

@description('Object id of the app\'s identity, which roles are given to.')
output appPrincipalId string = app.properties.principalId

@description('Client id of the app\'s identity, which credentials are asked by.')
output appClientId string = app.properties.clientId

@description('Resource id of Capture\'s identity.')
output captureId string? = hasCapture ? capture.id : null

@description('Object id of Capture\'s identity.')
output capturePrincipalId string? = hasCapture ? capture!.properties.principalId : null

@description('Resource id of the server\'s identity.')
output mysqlId string? = hasMysql ? mysql.id : null
