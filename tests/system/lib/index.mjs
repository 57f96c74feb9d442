// All helpers of the system tests in one import.
export * from "./process.mjs";
export * from "./wire.mjs";
export * from "./servers.mjs";
export * from "./postern.mjs";
export * from "./peers.mjs";
export * from "./mtas.mjs";
export * from "./ask.mjs";
export * from "./relay.mjs";
export * from "./town.mjs";
export * from "./portal.mjs";
