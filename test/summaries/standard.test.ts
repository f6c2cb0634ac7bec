import { describe, expect, test } from 'vitest';
import { tabLabel } from '../../dashboard/src/components/panel-list.ts';
import * as api from '../../src/index.ts';
import { headingOf } from '../../src/report/labels.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';

describe.each(STANDARD_SUMMARIES)('the standard summary $title', (summary) => {
  const { name, title } = summary;

  test('is exported under its title', () => {
    expect(api).toHaveProperty(title, summary);
  });

  test('has a heading in the report', () => {
    expect(headingOf(name).title).not.toBe(name);
    expect(headingOf(name).key).not.toBe('Key');
  });

  test('has a tab on the dashboard', () => {
    expect(tabLabel(name)).not.toBe(name);
  });
});
