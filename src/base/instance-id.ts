/** What the id of an instance looks like: eight digits until 2016, seventeen since. */
export const INSTANCE_ID = /^i-[0-9a-f]{8,17}$/;
