// PostHog's agent tools, unmodified, one call a line: [name, arguments] in, {text} or {error} out.
// Arguments pass the tool's own schema first, as in PostHog's MCP server.
import { createInterface } from "node:readline";
import { PostHogAgentToolkit } from "@posthog/agent-toolkit/tools";

const toolkit = new PostHogAgentToolkit({
  posthogApiToken: process.env.POSTHOG_PERSONAL_API_KEY,
  posthogApiBaseUrl: process.env.POSTHOG_HOST,
});
const context = toolkit.getContext();
const tools = new Map((await toolkit.getTools()).map((tool) => [tool.name, tool]));

async function answer([name, given]) {
  if (name === "tools/list") {
    return { text: JSON.stringify([...tools.keys()]) };
  }
  const tool = tools.get(name);
  if (tool === undefined) {
    return { error: `no tool ${name}` };
  }
  try {
    const done = await tool.handler(context, tool.schema.parse(given));
    return { text: done.content.map((part) => part.text).join("") };
  } catch (error) {
    return { error: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
