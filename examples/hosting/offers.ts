/**
 * Takes offers out of messages before anything keeps them. The SDK puts each message into the
 * history of its task as it came, where whoever reads the task would find the offer.
 */
import type { Message, SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { DefaultRequestHandler, type ServerCallContext } from '@a2a-js/sdk/server';
import { leaseExtension, offerIn, type LeaseOffer } from '../../src/borrower/borrower.ts';
import { reasonOf } from './tool-result.ts';

/** What came with a request: an offer, or what is wrong with one. */
export type Offered = { readonly offer: LeaseOffer } | { readonly flaw: string };

/** What came with the requests that are being answered. */
export type Offers = WeakMap<ServerCallContext, Offered>;

/** The SDK's handler; `offers` hears of every offer. */
export class OfferTakingHandler extends DefaultRequestHandler {
  readonly #offers: Offers;

  constructor(offers: Offers, ...parts: ConstructorParameters<typeof DefaultRequestHandler>) {
    super(...parts);
    this.#offers = offers;
  }

  override sendMessage(
    params: SendMessageRequest,
    context: ServerCallContext,
  ): Promise<Message | Task> {
    return super.sendMessage(this.#taken(params, context), context);
  }

  override sendMessageStream(
    params: SendMessageRequest,
    context: ServerCallContext,
  ): AsyncGenerator<StreamResponse, void, undefined> {
    return super.sendMessageStream(this.#taken(params, context), context);
  }

  #taken(params: SendMessageRequest, context: ServerCallContext): SendMessageRequest {
    const { message } = params;
    try {
      const offer = offerIn(message);
      if (offer !== undefined) this.#offers.set(context, { offer });
    } catch (error) {
      this.#offers.set(context, { flaw: reasonOf(error) });
    }
    if (message?.metadata === undefined) return params;
    const { [leaseExtension]: _offer, ...metadata } = message.metadata;
    return { ...params, message: { ...message, metadata } };
  }
}
