/**
 * When a person has to be asked something: who they are, where the session of their browser does not
 * say so; and whether the client may have what it asks for, where they have not agreed to it yet.
 */
import type { Configuration } from 'oidc-provider';
import { accountIdOf } from './account.ts';
import type { Library } from './library.ts';
import type { AuthorizationServerOptions } from './options.ts';

type Policy = NonNullable<NonNullable<Configuration['interactions']>['policy']>;

/** The library's own checks of the login, and ours. */
export function interactionPolicyOf({
  library,
  options,
}: {
  readonly library: Library;
  readonly options: Pick<AuthorizationServerOptions, 'people'>;
}): Policy {
  const { base, Check, Prompt } = library.interactionPolicy;
  const policy = base();
  policy.get('login')?.checks.add(
    new Check('person_changed', 'the browser is not logged in as this person', async (ctx) => {
      const session = await options.people.sessionOf(ctx.req);
      return session === undefined || accountIdOf(session.person) !== ctx.oidc.session?.accountId;
    }),
  );
  policy.remove('consent');
  policy.add(
    new Prompt(
      { name: 'consent', requestable: true },
      new Check('consent_missing', 'the person has not agreed to this', ({ oidc }) => {
        const resource = String(oidc.params?.['resource']);
        return (oidc.entities.Grant?.getResourceScope(resource) ?? '') === '';
      }),
    ),
  );
  return policy;
}
