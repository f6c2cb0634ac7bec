/** Products of the shop. */
export interface Product {
  id: string;
  name: string;
  price: number;
  about: string;
}

export const PRODUCTS: readonly Product[] = [
  { id: 'pour-over', name: 'Pour-over dripper', price: 24, about: 'Porcelain, for one or two cups.' },
  {
    id: 'grinder',
    name: 'Hand grinder',
    price: 89,
    about: 'Steel burrs, thirty clicks from fine to coarse.',
  },
  { id: 'kettle', name: 'Gooseneck kettle', price: 65, about: 'Pours slowly, and where you want it.' },
  { id: 'scale', name: 'Scale with timer', price: 39, about: 'Reads tenths of a gram, and minutes.' },
  { id: 'filters', name: 'Paper filters', price: 6, about: 'A hundred of them, unbleached.' },
  { id: 'beans-huila', name: 'Beans from Huila', price: 14, about: 'Washed; red apple and caramel.' },
  { id: 'beans-sidama', name: 'Beans from Sidama', price: 16, about: 'Natural; blueberry and jasmine.' },
  { id: 'mug', name: 'Stoneware mug', price: 18, about: 'Heavy enough to stay warm.' },
  { id: 'server', name: 'Glass server', price: 28, about: 'Half a litre, with a mark every 100 ml.' },
  { id: 'brush', name: 'Cleaning brush', price: 9, about: 'For the grinder, once a week.' },
];

export function productOf(id: string | undefined): Product | undefined {
  return PRODUCTS.find((product) => product.id === id);
}

/** Returns products whose name or description contains the words. */
export function search(words: string): Product[] {
  const wanted = words.toLowerCase();
  return PRODUCTS.filter(({ name, about }) => `${name} ${about}`.toLowerCase().includes(wanted));
}
