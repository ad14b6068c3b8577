// What a user of the npm client does, unchanged but for the address; prints what came as JSON.
const OpenAI = require("openai");
const { zodless, question, tools } = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = process.env.MODEL;
const greedy = { model, messages: [{ role: "user", content: question }], temperature: 0 };

async function main() {
  const found = {};
  found.models = (await client.models.list()).data.map((one) => one.id);
  const whole = await client.chat.completions.create({ ...greedy, max_tokens: 16 });
  found.whole = whole.choices[0].message.content;
  found.streamed = "";
  const stream = await client.chat.completions.create({
    ...greedy, max_tokens: 16, stream: true, stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    found.streamed += chunk.choices[0]?.delta?.content ?? "";
    if (chunk.usage) found.usage = chunk.usage;
  }
  const calling = client.chat.completions.stream({
    ...greedy, max_completion_tokens: 60, tools, tool_choice: "required",
  });
  found.call = (await calling.finalChatCompletion()).choices[0].message.tool_calls[0];
  const shaped = await client.chat.completions.parse({
    ...greedy, max_completion_tokens: 60, response_format: zodless,
  });
  found.shaped = shaped.choices[0].message.content;
  try {
    await client.chat.completions.create({ ...greedy, model: "nobody" });
  } catch (error) {
    found.error = { type: error.constructor.name, status: error.status, code: error.code };
  }
  console.log(JSON.stringify(found));
}
main();
