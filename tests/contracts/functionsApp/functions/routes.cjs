"use strict";
// CommonJS, as many apps are.
const { app } = require("@azure/functions");

const tell = (name) => (request) => ({ jsonBody: { name, params: request.params } });

app.http("room", { route: "rooms/{id}", methods: ["GET", "DELETE"], handler: tell("room") });
app.http("roomSearch", { route: "rooms/search", methods: ["GET"], handler: tell("roomSearch") });
app.http("member", { route: "rooms/{id:int}/members/{user?}", methods: ["GET"], handler: tell("member") });
app.http("files", { route: "files/{*rest}", methods: ["GET"], handler: tell("files") });
app.http("defaultRoute", { methods: ["GET"], handler: tell("defaultRoute") });
