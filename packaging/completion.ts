import type { Description } from '../cli/program.ts';

/** bash completion made from the command table: commands, their options, and files after an option that takes one. */
export function bashCompletion(program: Description): string {
  const name = program.name;
  const call = `_${name.replaceAll('-', '_')}`;
  const words = (list: readonly string[]): string => list.join(' ');
  const firstWords = [...new Set(program.commands.map((command) => command.name.split(' ')[0]!))];
  const cases = program.commands.map((command) => {
    const options = ['help', ...(command.options ?? []).map((option) => option.name)];
    return `    '${command.name}') options='${words([...new Set(options)].map((option) => `--${option}`))}' ;;`;
  });
  const seconds = firstWords.flatMap((first) => {
    const next = program.commands
      .map((command) => command.name.split(' '))
      .filter(([word, second]) => word === first && second !== undefined)
      .map(([, second]) => second!);
    return next.length === 0 ? [] : [`    '${first}') next='${words(next)}' ;;`];
  });
  const valued = new Map(
    program.commands
      .flatMap((command) => command.options ?? [])
      .flatMap((option) => (option.value === undefined ? [] : [[`--${option.name}`, option.value] as const])),
  );
  const pathLike = [...valued].filter(([, value]) => /FILE|DIR|PATH/.test(value)).map(([option]) => option);
  const other = [...valued.keys()].filter((option) => !pathLike.includes(option));
  return `# bash completion for ${name}; made from its command table
${call}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} options='' next=''
  COMPREPLY=()
  case $previous in
${pathLike.length > 0 ? `    ${pathLike.join(' | ')}) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;\n` : ''}${other.length > 0 ? `    ${other.join(' | ')}) return ;;\n` : ''}    *) ;;
  esac
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '${words([...firstWords, 'help', '--help', '--version'])}' -- "$current")
    return
  fi
${
  seconds.length === 0
    ? ''
    : `  case \${COMP_WORDS[1]} in
${seconds.join('\n')}
  esac
  if ((COMP_CWORD == 2)) && [ -n "$next" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$next" -- "$current")
    return
  fi
`
}  case "\${COMP_WORDS[1]}\${next:+ \${COMP_WORDS[2]}}" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}
complete -F ${call} ${name}
`;
}
