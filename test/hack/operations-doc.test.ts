import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CONDITION, REASON } from '#crds/names.ts';
import { EVENT_REASON } from '#operator/api/event-reasons.ts';

const page = readFileSync('docs/operations/conditions.md', 'utf8');
/** First cells of the rows of all tables. */
const cells = [...page.matchAll(/^\| `([A-Za-z]+)`/gm)].map(([, cell]) => cell);

describe('docs/operations/conditions.md', () => {
  test.for(Object.values(CONDITION))('describes the condition %s', (condition) => {
    expect(cells).toContain(condition);
  });

  test.for(Object.values(REASON))('describes the reason %s', (reason) => {
    expect(cells).toContain(reason);
  });

  test.for(Object.values(EVENT_REASON))('describes the event %s', (reason) => {
    const events = page.split(/^### /m).find((section) => section.startsWith('Events of prewarms')) ?? '';
    expect(events).toMatch(new RegExp(`^\\| [^|]*\`${reason}\``, 'm'));
  });
});
