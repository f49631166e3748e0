/** Prices of the origin, from which the cache computes what it saves. */
import type { Schema } from './json-schema.ts';

/** Six digits before and after the point: from a tariff per request to one in any currency's smallest unit. */
export const PRICE_PATTERN = '^[0-9]{1,6}([.][0-9]{1,6})?$';

function price(description: string) {
  return {
    description: `${description} In dollars, with up to six decimals; in quotes, such as "0.09". If omitted, 0.`,
    maxLength: 13,
    'x-kubernetes-int-or-string': true,
    'x-kubernetes-validations': [
      {
        rule: `string(self).matches('${PRICE_PATTERN}')`,
        message: 'must be a price from 0 to 999999, in quotes if it has decimals, such as "0.09"',
        holds: (value: string | number) => new RegExp(PRICE_PATTERN).test(String(value)),
      },
    ],
  } as const;
}

export const costs = {
  type: 'object',
  description:
    'Prices of the origin, for the metric `orca_saved_dollars_total` and its row on the dashboard. If omitted, the cache ' +
    'reports bytes only.',
  properties: {
    originEgressPerGB: price('Price of a gigabyte (10^9 bytes) that leaves the origin.'),
    originPer1000Requests: price('Price of 1000 requests to the origin.'),
  },
} as const satisfies Schema;
