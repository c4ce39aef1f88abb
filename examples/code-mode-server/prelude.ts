/**
 * What is run in the sandbox before the code: it makes an async function of each tool. Host functions
 * take and give strings, so that no object of the program is ever within reach of the code.
 */
export const prelude = `
(() => {
  const { parse, stringify } = JSON;
  const [call, print, listed] = [globalThis.hostCall, globalThis.hostPrint, parse(globalThis.hostTools)];
  delete globalThis.hostCall;
  delete globalThis.hostPrint;
  delete globalThis.hostTools;
  const callTool = async (name, args = {}) => {
    const text = await call(String(name), stringify(args) ?? '{}');
    return text === undefined ? undefined : parse(text);
  };
  const fixed = (name, value) =>
    Object.defineProperty(globalThis, name, { value, enumerable: true });
  for (const { name } of listed) fixed(name, (args) => callTool(name, args));
  fixed('tools', Object.freeze(listed));
  fixed('callTool', callTool);
  const show = (value) => {
    if (typeof value === 'string') return value;
    try { return stringify(value) ?? String(value); } catch { return String(value); }
  };
  const log = (...values) => print(values.map(show).join(' '));
  fixed('console', Object.freeze({ log, info: log, warn: log, error: log, debug: log }));
  return (value) => (value === undefined ? undefined : stringify(value));
})()`;

/** The code, as the body of an async function. */
export function asFunction(code: string): string {
  return `(async () => {\n${code}\n})()`;
}
