// Vercel's AI SDK, with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, jsonSchema, streamText, tool } from "ai";

const [baseURL, scenario, prompt] = process.argv.slice(2);
const provider = createOpenAICompatible({
  name: "firsthop",
  baseURL,
  apiKey: "none",
  supportsStructuredOutputs: true,
});
const asked = { model: provider("auto"), prompt, maxRetries: 0 };

async function main() {
  if (scenario === "plain") return { text: (await generateText(asked)).text };
  if (scenario === "stream") {
    const pieces = [];
    for await (const piece of streamText(asked).textStream) pieces.push(piece);
    return { pieces };
  }
  if (scenario === "tools") {
    const weather = tool({
      description: "The weather.",
      inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }),
    });
    const [call] = (await generateText({ ...asked, tools: { weather } })).toolCalls;
    return { tool: call.toolName, arguments: call.input };
  }
  if (scenario === "schema") {
    const schema = jsonSchema({
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    });
    const answer = await generateText({ ...asked, output: Output.object({ schema }) });
    return { parsed: answer.output };
  }
  if (scenario === "error") {
    try {
      await generateText({ ...asked, model: provider("gpt-nothing") });
    } catch (error) {
      if (APICallError.isInstance(error)) {
        return { status: error.statusCode, code: JSON.parse(error.responseBody).error.code };
      }
      throw error;
    }
  }
  if (scenario === "cancel") {
    const leave = new AbortController();
    const pieces = [];
    for await (const piece of streamText({ ...asked, abortSignal: leave.signal }).textStream) {
      pieces.push(piece);
      if (pieces.length === 4) {
        leave.abort();
        break;
      }
    }
    return { pieces };
  }
  return {};
}

console.log(JSON.stringify(await main()));
