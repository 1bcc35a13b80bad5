// Takes the client of the official TypeScript SDK on a tour through the
// reference server at a URL, and prints what it got, as JSON.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, kind, mode] = process.argv.slice(1, 4);
const [GREETING, SAMPLED, ELICITED, ROOT, RESOURCE] = JSON.parse(process.argv[4]);
const CONDITIONAL = ["echo", "trigger-elicitation-request", "trigger-sampling-request"];
const LONG = "trigger-long-running-operation";

const client = new Client(
  { name: "tour", version: "1" },
  { capabilities: { roots: {}, sampling: {}, elicitation: {} }, versionNegotiation: { mode } },
);
client.setRequestHandler("roots/list", () => ({ roots: [{ uri: ROOT }] }));
client.setRequestHandler("sampling/createMessage", () => ({
  role: "assistant", model: "none", content: { type: "text", text: SAMPLED },
}));
client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: ELICITED } }));
const logged = heard("notifications/message", (params) => String(params.data).includes("level") && "level");
const updated = heard("notifications/resources/updated", (params) => params.uri);

// Returns a promise of what the server sends by itself, once it is of interest.
function heard(method, interest) {
  return new Promise((resolve) => {
    client.setNotificationHandler(method, ({ params }) => {
      const found = interest(params);
      if (found) resolve(found);
    });
  });
}

const excerpt = (whole, want) => (whole.includes(want) ? want : JSON.stringify(whole));

async function call(name, args = {}, options = undefined) {
  const result = await client.callTool({ name, arguments: args }, options);
  return result.content.map((c) => c.text ?? "").join("\n");
}

const echo = () => call("echo", { message: GREETING });

async function long(steps, duration) {
  const seen = [];
  const onprogress = (p) => {
    // Without a total it is the SDK's own, about a question that it answers:
    // the server asks for the roots some time after its start.
    if (p.total !== undefined) seen.push(`${p.progress}/${p.total}`);
  };
  const text = await call(LONG, { steps, duration }, { onprogress });
  return [...seen, excerpt(text, "completed")].join(" ");
}

// Gives up a call when it has begun.
async function cancel() {
  const giveUp = new AbortController();
  const onprogress = () => giveUp.abort();
  try {
    await call(LONG, { steps: 1000, duration: 100 }, { signal: giveUp.signal, onprogress });
  } catch (err) {
    if (giveUp.signal.aborted) return `given up, and ${await echo()}`;
    throw err;
  }
  return "it came to its end";
}

async function log(modern) {
  if (modern) {
    const _meta = { "io.modelcontextprotocol/logLevel": "debug" };
    await client.callTool({ name: "toggle-simulated-logging", arguments: {}, _meta });
  } else {
    await client.setLoggingLevel("debug");
    await call("toggle-simulated-logging");
  }
  return logged;
}

async function update() {
  await client.subscribeResource({ uri: RESOURCE });
  await call("toggle-subscriber-updates");
  return updated;
}

async function* tour() {
  const modern = client.getNegotiatedProtocolVersion() >= "2026-07-28";
  const { tools } = await client.listTools();
  yield ["tools", tools.map((t) => t.name).filter((n) => CONDITIONAL.includes(n)).sort().join(" ")];
  yield ["call", await echo()];
  // Over HTTP+SSE the SDK forgets who wants progress when the answer comes in
  // the same packet.
  if (kind === "http") yield ["progress", await long(3, 0.3)];
  const { contents } = await client.readResource({ uri: RESOURCE });
  yield ["resource", excerpt(contents[0].text, "Resource 1: This is a plaintext resource")];
  yield ["prompt", (await client.getPrompt({ name: "simple-prompt" })).messages[0].content.text];
  yield ["sampling", excerpt(await call("trigger-sampling-request", { prompt: "?" }), SAMPLED)];
  yield ["elicitation", excerpt(await call("trigger-elicitation-request"), ELICITED)];
  yield ["roots", excerpt(await call("get-roots-list"), ROOT)];
  yield ["log", await log(modern)];
  yield ["cancel", await cancel()];
  if (modern) return;
  yield ["update", await update()];
  if (kind === "http") yield ["resume", await long(4, 1)];
}

const seen = {};
try {
  const Transport = kind === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
  await client.connect(new Transport(new URL(url)));
  for await (const [feature, got] of tour()) seen[feature] = got;
  await client.close();
} finally {
  console.log(JSON.stringify(seen));
}
process.exit(0);
