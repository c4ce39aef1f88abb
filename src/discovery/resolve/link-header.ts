/** Links in the headers of a reply. Spec: RFC 8288 §3; AI Catalog "Link Relation Discovery" */

/** One link. */
export interface HeaderLink {
  readonly href: string;
  /** In lower case. */
  readonly rels: readonly string[];
}

const longestHeader = 4096;

/** The links of a `Link` header; what cannot be read is left out. */
export function linksOf(header: string | null): HeaderLink[] {
  const links: HeaderLink[] = [];
  const text = (header ?? '').slice(0, longestHeader);
  for (const [, href = '', params = ''] of text.matchAll(
    /<([^<>]*)>((?:\s*;\s*[\w!#$%&'*+.^`|~-]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)/g,
  )) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(params);
    const names = (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/);
    const rels = names.filter((name) => name !== '');
    if (rels.length > 0) links.push({ href, rels });
  }
  return links;
}
