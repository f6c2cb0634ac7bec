import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { defineConfig } from 'vitepress';
import { anchorOf } from './anchor.ts';
import { SIDEBAR } from './sidebar.ts';

const DOCS = resolve(import.meta.dirname, '..');
const ROOT = dirname(DOCS);
const { description, repository } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const REPOSITORY = repository.url.replace(/^git\+|\.git$/g, '');

export default defineConfig({
  title: 'track-usage',
  description,
  // The site can be served from any path: `DOCS_BASE=/track-usage/ npm run docs`.
  base: process.env.DOCS_BASE ?? '/',
  lang: 'en-US',
  cleanUrls: true,
  lastUpdated: false,
  rewrites: { 'README.md': 'index.md' },
  markdown: {
    anchor: { slugify: anchorOf },
    config: (markdown) => {
      const render = markdown.renderer.rules.link_open!;
      markdown.renderer.rules.link_open = (tokens, index, options, env, self) => {
        const token = tokens[index]!;
        const href = token.attrGet('href');
        const page = (env as { path: string }).path;
        if (href) token.attrSet('href', sourceLink(href, page));
        return render(tokens, index, options, env, self);
      };
    },
  },
  // Pages generated from doc comments have no source to edit.
  transformPageData({ relativePath, frontmatter }) {
    if (relativePath.startsWith('reference/api/')) frontmatter.editLink = false;
  },
  themeConfig: {
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Guides', link: '/guides/frameworks' },
      { text: 'Reference', link: '/reference/options' },
    ],
    sidebar: SIDEBAR,
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
    editLink: { pattern: `${REPOSITORY}/edit/main/docs/:path`, text: 'Edit this page' },
  },
});

/** Links to files outside `docs/`, such as examples, lead to the repository. Other links stay as they are. */
function sourceLink(href: string, page: string): string {
  if (/^([a-z]+:|\/|#)/.test(href)) return href;
  const [path = '', anchor] = href.split('#');
  const target = resolve(dirname(page), path);
  if (!relative(DOCS, target).startsWith('..') || !existsSync(target)) return href;
  const kind = statSync(target).isDirectory() ? 'tree' : 'blob';
  return `${REPOSITORY}/${kind}/main/${relative(ROOT, target)}${anchor ? `#${anchor}` : ''}`;
}
