import { app } from "@azure/functions";
import { closeApp } from "../shared/app.js";

app.hook.appTerminate(closeApp);
