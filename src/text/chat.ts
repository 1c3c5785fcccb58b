/**
 * What a chat costs in prompt tokens: the messages as the model's template writes them down.
 *
 * A rendered prompt is a list of texts, each after one special token or none. That is all a count
 * needs, and it stays exact where a built-in vocabulary does not know the model's special tokens by
 * name. Templates are the published formats of the families, written as data.
 */

/** A message, reduced to what a template reads. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  /** Calls of an assistant message, as the JSON text the template would write. */
  readonly toolCalls?: string;
}

/** A stretch of a prompt. */
export interface PromptPart {
  readonly text: string;
  /** One special token stands before it. */
  readonly special: boolean;
  /** It is an earlier answer of the model, whole. */
  readonly answer: boolean;
  /** Token ids in place of text: the caller has tokenised it. */
  readonly tokens?: readonly number[];
}

export type RenderedPrompt = readonly PromptPart[];

/** What a template writes: texts with one special token between neighbours. */
type Written = readonly string[];

export interface ChatTemplate {
  readonly name: string;
  /** Before the first message; `['', '']` is one special token (beginning of sequence). */
  readonly start: Written;
  /** Before and after the content of a message of `role`. */
  before(role: string): Written;
  after(role: string): Written;
  /** What asks for the answer. */
  readonly generation: Written;
  /** Special tokens before a plain completion prompt. */
  readonly numBos: 0 | 1;
}

const chatml: ChatTemplate = {
  name: 'chatml',
  start: [''],
  before: (role) => ['', `${role}\n`],
  after: () => ['', '\n'],
  generation: ['', 'assistant\n'],
  numBos: 0,
};

const llama3: ChatTemplate = {
  name: 'llama3',
  start: ['', ''],
  before: (role) => ['', role, '\n\n'],
  after: () => ['', ''],
  generation: ['', 'assistant', '\n\n'],
  numBos: 1,
};

/** OpenAI's models: start, role, separator, content, end. */
const openai: ChatTemplate = {
  name: 'openai',
  start: [''],
  before: (role) => ['', role, ''],
  after: () => ['', ''],
  generation: ['', 'assistant', ''],
  numBos: 0,
};

const mistral: ChatTemplate = {
  name: 'mistral',
  start: ['', ''],
  before: (role) => (role === 'assistant' ? [''] : ['', ' ']),
  after: () => ['', ''],
  generation: [''],
  numBos: 1,
};

const gemma: ChatTemplate = {
  name: 'gemma',
  start: ['', ''],
  before: (role) => ['', `${role === 'assistant' ? 'model' : role}\n`],
  after: () => ['', '\n'],
  generation: ['', 'model\n'],
  numBos: 1,
};

const deepseek: ChatTemplate = {
  name: 'deepseek',
  start: ['', ''],
  before: (role) => (role === 'system' ? [''] : ['', '']),
  after: (role) => (role === 'assistant' ? ['', ''] : ['']),
  generation: ['', ''],
  numBos: 1,
};

/** Models without a template of their own: names and colons. */
const plain: ChatTemplate = {
  name: 'plain',
  start: ['', ''],
  before: (role) => [`${role}: `],
  after: () => ['\n'],
  generation: ['assistant:'],
  numBos: 1,
};

const FAMILIES: readonly { pattern: RegExp; template: ChatTemplate }[] = [
  { pattern: /llama-?[34]/, template: llama3 },
  { pattern: /qwen|qwq|yi-|chatml|hermes/, template: chatml },
  { pattern: /gpt-?oss|gpt-?[345]|\bo[134]\b/, template: openai },
  { pattern: /mistral|mixtral/, template: mistral },
  { pattern: /gemma/, template: gemma },
  { pattern: /deepseek/, template: deepseek },
  { pattern: /\bopt-|gpt-?2|gpt-?neo|gpt-?j/, template: plain },
];

/** The template of `model`'s family; ChatML where none is known. */
export function chatTemplateOf(model: string): ChatTemplate {
  const name = model.toLowerCase();
  return FAMILIES.find(({ pattern }) => pattern.test(name))?.template ?? chatml;
}

/** The prompt of a chat. `tools` (their JSON text) stands at the head of the system message. */
export function renderChat(
  messages: readonly ChatMessage[],
  template: ChatTemplate,
  tools?: string,
): RenderedPrompt {
  const parts: PromptPart[] = [];
  const append = (text: string) => {
    const last = parts.at(-1);
    if (text === '') return;
    if (!last || last.answer) parts.push({ text, special: false, answer: false });
    else parts[parts.length - 1] = { ...last, text: last.text + text };
  };
  const write = ([first = '', ...rest]: Written) => {
    append(first);
    for (const text of rest) parts.push({ text, special: true, answer: false });
  };
  write(template.start);
  for (const message of tools === undefined ? messages : withToolList(messages, tools)) {
    const content = message.content + (message.toolCalls ?? '');
    write(template.before(message.role));
    if (message.role !== 'assistant') append(content);
    else if (content !== '') parts.push({ text: content, special: false, answer: true });
    write(template.after(message.role));
  }
  write(template.generation);
  return parts;
}

/** A plain prompt: the text, after the beginning-of-sequence token of models that have one. */
export function renderCompletion(prompt: string, template: ChatTemplate): RenderedPrompt {
  return [{ text: prompt, special: template.numBos === 1, answer: false }];
}

/** A prompt that comes as token ids; it is taken as it is. */
export function renderTokens(tokens: readonly number[]): RenderedPrompt {
  return [{ text: '', special: false, answer: false, tokens }];
}

function withToolList(messages: readonly ChatMessage[], tools: string): readonly ChatMessage[] {
  const intro = `Functions you may call, one JSON schema each:\n${tools}\n`;
  const [first, ...rest] = messages;
  return first?.role === 'system'
    ? [{ ...first, content: `${first.content}\n\n${intro}` }, ...rest]
    : [{ role: 'system', content: intro }, ...messages];
}
