"""The manager: Cardshop's pages for people, in a browser.

An operator logs in, makes recipes from the catalogue, places orders, watches them live and ships the cards;
an admin sees users, media and dead letters too.

Comes in: HTTP from browsers. Goes out: HTTPS calls to the scheduler's API with the user's own token.

The manager owns no facts and keeps nothing on disk: every fact on a page is the scheduler's, and whoever may
not see or do something is told so by the scheduler. The API tokens of those who are logged in are kept in
memory, never in the browser; after a restart people log in again.
"""
