/** One step of the schema. Steps are never edited once released; a new need is a new step at the end. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}
