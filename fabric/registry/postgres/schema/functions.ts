/** What SQLite calls by these names, for the statements that both engines run. */
export const FUNCTIONS = `
CREATE FUNCTION min(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN LEAST($1, $2);
CREATE FUNCTION max(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN GREATEST($1, $2);
CREATE FUNCTION instr(text, text) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN strpos($1, $2);
CREATE FUNCTION unhex(text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN decode($1, 'hex');
CREATE FUNCTION json_each(text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 1000
  AS $$ SELECT json_array_elements_text($1::json) $$;

-- a path is '$.name.name'
CREATE FUNCTION json_path(text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN string_to_array(substr($1, 3), '.');
CREATE FUNCTION json_type(text, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN json_typeof($1::json #> json_path($2));
CREATE FUNCTION json_remove(text, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN ($1::jsonb #- json_path($2))::text;
CREATE FUNCTION json_text(text, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN $1::json #>> json_path($2);
CREATE OPERATOR ->> (LEFTARG = text, RIGHTARG = text, FUNCTION = json_text);

-- small letters, as the search has them (search/found.ts)
CREATE FUNCTION described(text, text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN lower((coalesce($1, '') || chr(10) || coalesce($2, '')) COLLATE "und-x-icu");
`;
