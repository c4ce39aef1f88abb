/** One thing that is wrong with the configuration. `path` is like `peers[0].mcp.url`. */
export interface Mistake {
  readonly path: string;
  readonly message: string;
}

/** The mistakes as lines for a terminal or a log. */
export function formatMistakes(mistakes: readonly Mistake[]): string {
  return mistakes
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('\n');
}

/** A path as people write it: `peers[0].mcp.url`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      const name = String(step);
      if (!/^[\w-]+$/.test(name)) return `[${JSON.stringify(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}
