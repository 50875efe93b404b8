// The map's countries, made when the console is built: outlines in the projection of the map, as paths of SVG.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { geoNaturalEarth1, geoPath } from 'd3-geo';
import iso from 'i18n-iso-countries';
import { feature } from 'topojson-client';

const [WIDTH, HEIGHT] = [960, 470];
const ANTARCTICA = '010';
const { resolve } = createRequire(import.meta.url);

/**
 * `{width, height, land, dots, scale, origin}`: the outlines of all countries as one path, for each code of ISO 3166-1 (alpha-2) where its dot is, and
 * how any other point is found (projection.ts). The coarse outlines lack small countries, whose dots come from finer ones.
 */
export function worldMap() {
  const coarse = countriesOf('110m');
  const all = { type: 'FeatureCollection', features: coarse };
  const projection = geoNaturalEarth1().fitSize([WIDTH, HEIGHT], all);
  const path = geoPath(projection).digits(1);
  const dots = {};
  for (const country of [...countriesOf('50m'), ...coarse]) {
    const code = iso.numericToAlpha2(country.id ?? '');
    if (code === undefined) continue;
    const [x, y] = path.centroid(largestPart(country, path));
    dots[code] = [Math.round(x), Math.round(y)];
  }
  const origin = projection([0, 0]);
  return { width: WIDTH, height: HEIGHT, land: path(all), dots, scale: projection.scale(), origin };
}

function countriesOf(scale) {
  const atlas = JSON.parse(readFileSync(resolve(`world-atlas/countries-${scale}.json`), 'utf8'));
  return feature(atlas, atlas.objects.countries).features.filter(({ id }) => id !== ANTARCTICA);
}

/** The largest part of a country: the dot of France is not in the sea. */
function largestPart({ geometry }, path) {
  if (geometry.type !== 'MultiPolygon') return geometry;
  const parts = geometry.coordinates.map((coordinates) => ({ type: 'Polygon', coordinates }));
  return parts.reduce((one, other) => (path.area(other) > path.area(one) ? other : one));
}
