// Lets one address in to MySQL, while a hook is at the database (firewall.mjs, which removes the rule again).

targetScope = 'resourceGroup'

@description('Name of the MySQL server (AZURE_MYSQL_SERVER_NAME).')
@minLength(3)
@maxLength(63)
param serverName string

@description('Name of the rule.')
@minLength(1)
param ruleName string

@description('The IPv4 address.')
@minLength(7)
@maxLength(15)
param address string

resource server 'Microsoft.DBforMySQL/flexibleServers@2024-12-30' existing = {
  name: serverName
}

resource rule 'Microsoft.DBforMySQL/flexibleServers/firewallRules@2024-12-30' = {
  parent: server
  name: ruleName
  properties: { startIpAddress: address, endIpAddress: address }
}
