/** Kinds of text that settings share. Messages complete the sentence "<path>: …". */
import { z } from 'zod';

/** Text that is not empty. */
export const word = (expected: string) =>
  z.string({ error: `expected ${expected}` }).min(1, `expected ${expected}`);

/** An http or https URL without user name and password. */
export const httpUrl = z
  .string({ error: 'expected an http or https URL' })
  .transform((text, context) => {
    const url = URL.parse(text);
    if (
      url !== null &&
      /^https?:$/.test(url.protocol) &&
      url.username === '' &&
      url.password === ''
    ) {
      return text;
    }
    context.addIssue({
      code: 'custom',
      message: 'expected an http or https URL without user name and password',
    });
    return z.NEVER;
  });

/** A URL of an authorization server or of keys: nobody in between may change what it says. */
export const secureUrl = httpUrl.refine((text) => {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}, 'expected an https URL; plain http is for loopback alone');

/** The origin of such a URL, without a path. */
export const origin = httpUrl.transform((text, context) => {
  const url = new URL(text);
  if (url.pathname === '/' && url.search === '' && url.hash === '') return url.origin;
  context.addIssue({
    code: 'custom',
    message: 'expected an origin such as https://gw.example.org, without a path',
  });
  return z.NEVER;
});

/** A setting that is known and cannot be used yet. */
export const later = (what: string) =>
  z.undefined({ error: `${what} is not available yet; remove this section` }).optional();
