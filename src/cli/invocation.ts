/** `potluck join`, as whoever reads it would type it here: a hint must work as it stands. In a clone npm runs the command. */
export function called(args: string, env = process.env): string {
  const [, ofServe] = /^serve (.*)/.exec(args) ?? []
  if (env.npm_lifecycle_event === 'start' && ofServe !== undefined) return `npm start -- ${ofServe}`
  return `${env.npm_lifecycle_event === 'potluck' ? 'npm run potluck --' : 'potluck'} ${args}`
}
