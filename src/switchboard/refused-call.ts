import { GatewayError } from '../model/errors.ts';

/** A call of a lent tool that is refused, with words for the model that made it: it can go on. */
export class RefusedCallError extends GatewayError {}
