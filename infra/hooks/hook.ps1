# Runs a hook of azure.yaml, which is a Node program: ./infra/hooks/hook.ps1 NAME. The twin of hook.sh.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

if (-not (Get-Command node -ErrorAction SilentlyContinue)) {
    Write-Error 'hook: node was not found: install Node 22 (https://nodejs.org)' -ErrorAction Continue
    exit 1
}
node infra/hooks/hook.mjs @args
exit $LASTEXITCODE
