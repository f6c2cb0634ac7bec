import type { Product } from './products.ts';

/** Returns a complete page. `body` is HTML, `title` is text. */
export function page(title: string, body: string, words = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} · Slow Coffee</title>
<link rel="stylesheet" href="/static/shop.css">
</head>
<body>
<header>
<a class="name" href="/">Slow Coffee</a>
<nav><a href="/products">Products</a> <a href="/stock">Stock</a> <a href="/offer">Offer</a> <a href="/basket">Basket</a></nav>
<form action="/search"><input name="q" value="${escaped(words)}" placeholder="Search" aria-label="Search"></form>
</header>
<main>
<h1>${escaped(title)}</h1>
${body}
</main>
<footer>An example of track-usage: this very visit is in the table of your terminal.</footer>
</body>
</html>
`;
}

export function productList(products: readonly Product[]): string {
  if (products.length === 0) return '<p>Nothing like that here.</p>';
  const items = products.map(
    ({ id, name, price, about }) =>
      `<li><a href="/products/${id}"><b>${escaped(name)}</b><span>${escaped(about)}</span><i>€ ${price}</i></a></li>`,
  );
  return `<ul class="products">${items.join('\n')}</ul>`;
}

export function productPage({ id, price, about }: Product): string {
  return `<p>${escaped(about)}</p>
<p class="price">€ ${price}</p>
<form method="post" action="/basket"><button name="product" value="${id}">Put into the basket</button></form>`;
}

export function basketPage(products: readonly Product[]): string {
  if (products.length === 0) return '<p>It is empty. <a href="/products">See what there is</a>.</p>';
  const total = products.reduce((sum, { price }) => sum + price, 0);
  return `${productList(products)}\n<p class="price">€ ${total} together</p>`;
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
