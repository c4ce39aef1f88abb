/**
 * Skill ids → tool names. A skill id is any string; an MCP tool name is at most 64 letters,
 * digits, "_" and "-" where it is to reach every client and model. Lost: nothing, the original id
 * stays in the tool's `_meta` (`isthmus/skill`).
 */

/** The longest tool name that clients and models accept. */
const maxLength = 64;

/**
 * One valid and unique name for each id, in the order of the ids. An id that is already a valid
 * name keeps it (the first of equal ones does); the others are made valid and numbered. Names in
 * `taken` are not given out.
 *
 * Spec: MCP 2026-07-28 server/tools "Tool Names"
 */
export function uniqueToolNames(ids: readonly string[], taken: readonly string[] = []): string[] {
  const used = new Set(taken);
  const names = new Map<number, string>();
  for (const [index, id] of ids.entries()) {
    if (id !== validName(id) || used.has(id)) continue;
    used.add(id);
    names.set(index, id);
  }
  return ids.map((id, index) => {
    const name = names.get(index) ?? unused(validName(id), used);
    used.add(name);
    return name;
  });
}

/** An id with everything that a tool name may not hold replaced; a valid one as it is. */
function validName(id: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(id)) return id;
  const words = id
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .split(/[^A-Za-z0-9_-]+/);
  return (
    words
      .filter((word) => word !== '')
      .join('_')
      .slice(0, maxLength) || 'skill'
  );
}

function unused(name: string, used: ReadonlySet<string>): string {
  let candidate = name;
  for (let number = 2; used.has(candidate); number += 1) {
    const suffix = `_${number}`;
    candidate = `${name.slice(0, maxLength - suffix.length)}${suffix}`;
  }
  return candidate;
}
