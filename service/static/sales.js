// The events as they stand on the live page: finding them, and prices as each of them writes them.

export const sales = () => [...document.querySelectorAll(".sale")];
export const saleOf = (event) => sales().find((sale) => sale.dataset.event === event);
/** The line of an event that is over, and folded away. */
export const overOf = (event) => [...document.querySelectorAll(".over li")].find((line) => line.dataset.event === event);

export function money(sale, amount) {
  const { symbol, decimals } = sale.dataset;
  if (!amount) return "";
  const value = (amount / 10 ** decimals).toLocaleString("en", {
    minimumFractionDigits: Number(decimals),
  });
  return symbol + value;
}
