/** URL templates of server cards: `{name}` stands for a variable. Spec: MCP Registry server.json */
import { isObject } from '../../model/json.ts';
import { textMember } from '../../translate/json-document.ts';
import { shown } from './candidate.ts';

/** The text with what the document itself gives for its variables; never a guess for the others. */
export function filledTemplate(
  template: string,
  variables: unknown,
): { ok: true; text: string } | { ok: false; problem: string } {
  const missing: string[] = [];
  const text = template.replace(/\{([^{}]*)\}/g, (_whole, name: string) => {
    const variable = isObject(variables) && Object.hasOwn(variables, name) ? variables[name] : {};
    const value = textMember(variable, 'value') ?? textMember(variable, 'default');
    if (value === undefined) missing.push(shown(name, 60));
    return value ?? '';
  });
  if (missing.length === 0) return { ok: true, text };
  const names = missing.slice(0, 5).join(', ');
  return { ok: false, problem: `its URL needs values that the card does not give: ${names}` };
}
