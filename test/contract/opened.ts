/** A store that is open during each test of a suite. */
import { afterEach, beforeEach } from 'vitest';

/** What an engine gives a suite. */
interface UnderTest {
  /** Opens the store on the same data each time it is called within one test. */
  open(...how: never[]): Promise<{ store: unknown; close(): Promise<void> }>;
  clean(): Promise<void>;
}

type StoreOf<U extends UnderTest> = Awaited<ReturnType<U['open']>>['store'];

/** The store of the test that runs. */
export interface OpenedStore<U extends UnderTest> {
  readonly under: U;
  readonly store: StoreOf<U>;
  /** Closes the store and opens it again, as a later process would. */
  reopen(...how: Parameters<U['open']>): Promise<StoreOf<U>>;
}

/** Declares what happens before and after each test. */
export function openedForEachTest<U extends UnderTest>(make: () => U): OpenedStore<U> {
  let under: U;
  let opened: Awaited<ReturnType<U['open']>>;
  const open = async (...how: never[]): Promise<void> => {
    opened = (await under.open(...how)) as Awaited<ReturnType<U['open']>>;
  };
  beforeEach(async () => {
    under = make();
    await open();
  });
  afterEach(async () => {
    await opened.close();
    await under.clean();
  });
  return {
    get under() {
      return under;
    },
    get store() {
      return opened.store;
    },
    async reopen(...how) {
      await opened.close();
      await open(...how);
      return opened.store;
    },
  };
}
