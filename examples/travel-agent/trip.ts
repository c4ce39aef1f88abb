/** What the agent knows about travelling. Nothing here knows about A2A. */

/** A trip as far as the user has described it. */
export interface Trip {
  city: string;
  days: number;
  /** `YYYY-MM-DD`; missing until the user says it. */
  date?: string;
}

const FACTS: Readonly<Record<string, { zone: string; currency: string; sights: string[] }>> = {
  Lisbon: {
    zone: 'Europe/Lisbon',
    currency: 'EUR',
    sights: ['Alfama and the castle', 'Belém', 'a day in Sintra'],
  },
  Kyoto: {
    zone: 'Asia/Tokyo',
    currency: 'JPY',
    sights: ['Fushimi Inari before breakfast', 'Arashiyama', 'the temples of Higashiyama'],
  },
  Oslo: {
    zone: 'Europe/Oslo',
    currency: 'NOK',
    sights: ['the opera roof', 'Bygdøy and its ships', 'a walk in Nordmarka'],
  },
};

/** Reads a trip out of a sentence such as "Plan 3 days in Lisbon from 2027-05-02". */
export function tripFrom(text: string): Trip {
  const city = Object.keys(FACTS).find((name) => new RegExp(`\\b${name}\\b`, 'i').test(text));
  const days = Number(/(\d+)\s*days?\b/i.exec(text)?.[1] ?? 2);
  return { city: city ?? 'Lisbon', days: Math.min(Math.max(days, 1), 7), date: dateFrom(text) };
}

/** The first real date in a text, as `YYYY-MM-DD`. */
export function dateFrom(text: string): string | undefined {
  const found = /\b\d{4}-\d{2}-\d{2}\b/.exec(text)?.[0];
  const parsed = new Date(`${found}T00:00:00Z`);
  if (Number.isNaN(parsed.getTime()) || !parsed.toISOString().startsWith(`${found}`)) return;
  return found;
}

/** One line for day `index` of the trip, counted from 0. */
export function planDay(trip: Trip & { date: string }, index: number): string {
  const day = new Date(Date.parse(`${trip.date}T00:00:00Z`) + index * 86_400_000);
  const sights = FACTS[trip.city]?.sights ?? [];
  const sight = sights[index % sights.length] ?? 'a walk';
  return `${day.toISOString().slice(0, 10)}: ${sight}\n`;
}

/** A short answer about a city. */
export function lookup(text: string): string {
  const { city } = tripFrom(text);
  const facts = FACTS[city];
  return `${city}: time zone ${facts?.zone}, currency ${facts?.currency}.`;
}
