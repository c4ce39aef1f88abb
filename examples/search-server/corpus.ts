/** What there is to be found: a small handbook of bridges and crossings. */

/** One article. */
export interface Article {
  uri: string;
  title: string;
  text: string;
}

const texts: readonly (readonly [id: string, title: string, text: string])[] = [
  [
    'suspension-bridge',
    'Suspension bridges',
    'A suspension bridge hangs its deck from cables that run over towers. The cables are anchored in the ground at both ends. The longest span of all is that of the 1915 Çanakkale Bridge, 2023 metres between its towers. Wind is what its builders fear most.',
  ],
  [
    'cable-stayed-bridge',
    'Cable-stayed bridges',
    'A cable-stayed bridge ties its deck to the towers directly, with straight cables. It needs no anchorage in the ground. Spans of up to about 1100 metres are built this way.',
  ],
  [
    'arch-bridge',
    'Arch bridges',
    'An arch bridge carries its load as thrust into the abutments. Stone arches of the Romans still stand because stone is strong under compression. The arch has to be supported until its keystone is set.',
  ],
  [
    'drawbridge',
    'Movable bridges',
    'A movable bridge opens for ships. A bascule turns its leaves upwards, a swing bridge turns aside, and a lift bridge rises between two towers. Road traffic waits meanwhile.',
  ],
  [
    'tacoma',
    'The Tacoma Narrows collapse',
    'The first Tacoma Narrows Bridge collapsed on 7 November 1940, four months after it was opened. A steady wind of about 64 km/h made its slender deck twist ever more strongly, which engineers call aeroelastic flutter. Nobody was killed but a dog. Since then decks are tested in wind tunnels.',
  ],
  [
    'isthmus',
    'What an isthmus is',
    'An isthmus is a narrow strip of land between two larger ones, with water on both sides. Canals are dug through them: Corinth in 1893, Suez in 1869, Panama in 1914. Animals and plants cross an isthmus in both directions.',
  ],
  [
    'panama-canal',
    'The Panama Canal',
    'The Panama Canal crosses the isthmus of Panama over 82 kilometres. Locks lift ships 26 metres to Gatun Lake and lower them again. It was opened on 15 August 1914.',
  ],
  [
    'ferry',
    'Ferries',
    'Where no bridge pays, a ferry carries people and cars across. A cable ferry is pulled along a rope and needs little fuel. Ice stops it in winter.',
  ],
  [
    'tunnel',
    'Tunnels under water',
    'An immersed tunnel is made of sections that are floated out, sunk into a trench and joined. The Channel Tunnel was bored instead, through chalk, and is 50 kilometres long. Its trains carry lorries as well as people.',
  ],
  [
    'toll',
    'Tolls',
    'A toll pays for the bridge that it is taken at. Medieval towns farmed tolls out to whoever bid most. Today cameras read number plates and send a bill.',
  ],
];

/** The articles. */
export const corpus: readonly Article[] = texts.map(([id, title, text]) => ({
  uri: `article://${id}`,
  title,
  text,
}));
